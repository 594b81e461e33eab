"""What the brain network trains on: volumes on its own square, with the teacher's labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.imaging import brain, grids, head, preprocess
from model_training.brain import teacher


@dataclass(frozen=True, kw_only=True)
class Views:
    """All slices of all volumes `[n, SIZE, SIZE]`, labels from 0 to 1, and the indices of the
    `CONTEXT` neighbours of each slice inside its own volume `[n, CONTEXT]`."""

    images: Tensor
    labels: Tensor
    neighbours: Tensor


def read(volumes: Sequence[tuple[Path, Path]]) -> Views:
    """Views of (image, label) files."""
    images, labels, neighbours = [], [], []
    start = 0
    for image_file, label_file in volumes:
        image, label = view(image_file, label_file)
        images.append(image.astype(np.float16))
        labels.append(label.astype(np.float16))
        reach = np.arange(brain.CONTEXT) - brain.CONTEXT // 2
        place = np.clip(np.arange(len(image))[:, None] + reach, 0, len(image) - 1)
        neighbours.append(start + place)
        start += len(image)
    return Views(
        images=torch.from_numpy(np.concatenate(images)),
        labels=torch.from_numpy(np.concatenate(labels)),
        neighbours=torch.from_numpy(np.concatenate(neighbours)),
    )


def view(image_file: Path, label_file: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One volume and its label on the network's square, in slabs as serving makes them."""
    voxels, spacing_mm = teacher.canonical(image_file)
    factors = preprocess.reduction_factors(spacing_mm)
    label = preprocess.reduced(teacher.read(label_file), factors)
    voxels = preprocess.reduced(voxels, factors)
    working_mm = (
        spacing_mm[0] * factors[0],
        spacing_mm[1] * factors[1],
        spacing_mm[2] * factors[2],
    )
    voxels = voxels - np.float32(np.median(head.border(voxels)))
    inside = head.head_mask(voxels, spacing_mm=working_mm)
    image, square = brain.view(voxels, inside, working_mm)
    return image, grids.sampled(label, square)
