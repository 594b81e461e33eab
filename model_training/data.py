"""Reads the training volumes once and keeps what the networks need: model-grid slices.

Of tumour patients only slices far from the tumour are taken. Subjects without a tumour, in any
collection, may have white-matter lesions and give all their slices: their lesions are cut out of
the brain mask, so that nothing is learnt there. Without them hardly any slice would show the middle
of the brain, where most tumours grow.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging import grids, preprocess
from agent.imaging.brain import BrainNet
from agent.imaging.preprocess import ModelInput
from agent.imaging.results import NotAnalysed
from model_training import collection
from model_training.collection import Member, Split, Subject
from model_training.config import Recipe
from model_training.image_sets import image_set

CLEAN_MARGIN = 2  # slices between a training slice and the nearest tumour
MIN_BRAIN_SHARE = 0.12  # of the crop: smaller brain sections teach nothing
LESION_MARGIN = 4  # model pixels around a white-matter lesion that are cut out with it
MOST_LESION_SHARE = 0.15  # of a slice's brain: a slice with more is left out


class Untrainable(ValueError):
    """A subject in whose images no head or brain is found."""


@dataclass(frozen=True, kw_only=True)
class SliceSet:
    """Slices [n, context, size, size] (float16), relative heights [n] of the middle ones, and masks
    [n, size, size] of brain that is free of lesions."""

    images: NDArray[np.float16]
    brain: NDArray[np.bool_]
    positions: NDArray[np.float32]
    subjects: int
    digest: str


def training_members(root: Path, recipe: Recipe) -> list[Member]:
    """The train split of a recipe's collections: no member known to be abnormal in a collection
    of healthy ones, and only the recipe's number of patients of the first collection."""
    first, *others = (
        [
            member
            for member in collection.of_split(collection.members(root / name), Split.TRAIN)
            if not recipe.only_subjects or member.name.startswith(recipe.only_subjects)
        ]
        for name in recipe.collections
    )
    if recipe.most_patients:
        first = sorted(first, key=lambda member: hashlib.sha256(member.name.encode()).digest())
        first = first[: recipe.most_patients]
    chosen = [*first, *(member for other in others for member in other)]
    if not chosen:
        raise FileNotFoundError(
            f"{root} holds no training subject of {', '.join(recipe.collections)}."
        )
    return chosen


def watched_members(root: Path, recipe: Recipe) -> list[Member]:
    """The calibration split of the first collection: on its tumour-free slices a run is watched."""
    return calibration_members(root, recipe.collections[:1])


def calibration_members(root: Path, collections: Sequence[str]) -> list[Member]:
    """The calibration split of some collections."""
    return [
        member
        for name in collections
        for member in collection.of_split(collection.members(root / name), Split.CALIBRATION)
    ]


def kept_slices(
    path: Path, members: Sequence[Member], recipe: Recipe, brain_net: BrainNet
) -> SliceSet:
    """`clean_slices`, read from `path` where an earlier start of the run has kept them."""
    if path.is_file():
        return read_slices(path)
    if recipe.single_images:
        slices = normal_images(members, recipe)
    else:
        slices = clean_slices(members, recipe, brain_net)
    partial = path.with_name(f"{path.name}.part")
    with partial.open("wb") as handle:
        np.savez_compressed(handle, **vars(slices))
    partial.replace(path)
    return slices


def read_slices(path: Path) -> SliceSet:
    """Slices kept by an earlier start."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: run `neurosieve-train run` first.")
    with np.load(path) as kept:
        return SliceSet(
            images=kept["images"],
            brain=kept["brain"],
            positions=kept["positions"],
            subjects=int(kept["subjects"]),
            digest=str(kept["digest"]),
        )


def normal_images(members: Sequence[Member], recipe: Recipe) -> SliceSet:
    """Those of the 2D images that are known to be normal, with the head in place of the brain."""
    normal = [member for member in members if member.abnormal is False]
    if not normal:
        raise ValueError("No image is known to be normal; `neurosieve-train prepare` says which.")
    framed = [image_set.read_framed(member, recipe.size) for member in normal]
    images = np.stack([image for image, _ in framed])[:, None].astype(np.float16)
    return SliceSet(
        images=images,
        brain=np.stack([mask for _, mask in framed]),
        positions=np.zeros(len(normal), dtype=np.float32),
        subjects=len({member.group for member in normal}),
        digest=hashlib.sha256(images.tobytes()).hexdigest(),
    )


def clean_slices(members: Sequence[Member], recipe: Recipe, brain_net: BrainNet) -> SliceSet:
    """All slices that show what is normal."""
    images, brains, heights = [], [], []
    digest = hashlib.sha256()
    for member in members:
        subject = collection.read(member)
        prepared = preprocess.prepare(
            subject.volume, size=recipe.size, context=recipe.context, brain_net=brain_net
        )
        if isinstance(prepared, NotAnalysed):
            raise Untrainable(f"{member.folder} cannot be trained on: {prepared.sentence}")
        may_have_tumour = member.folder.parent.name == recipe.collections[0]
        has_tumour = may_have_tumour and member.abnormal is not False
        brain, keep = clean_far(subject, prepared) if has_tumour else cut_out(subject, prepared)
        keep &= brain.mean(axis=(1, 2)) > MIN_BRAIN_SHARE
        images.append(prepared.slices[keep].astype(np.float16))
        brains.append(brain[keep])
        heights.append(prepared.positions[keep])
        digest.update(member.name.encode() + np.ascontiguousarray(images[-1]).tobytes())
    return SliceSet(
        images=np.concatenate(images),
        brain=np.concatenate(brains),
        positions=np.concatenate(heights),
        subjects=len(members),
        digest=digest.hexdigest(),
    )


def clean_far(
    subject: Subject, prepared: ModelInput
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The brain, and which slices are far from any tumour; none of an abnormal subject whose
    tumour nobody drew."""
    if subject.abnormal and not subject.lesion.any():
        return prepared.brain, np.zeros(len(prepared.brain), dtype=np.bool_)
    touched = working_lesion(subject, prepared).any(axis=(1, 2))
    return prepared.brain, ~ndimage.maximum_filter1d(touched, 2 * CLEAN_MARGIN + 1)


def cut_out(subject: Subject, prepared: ModelInput) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The brain less its lesions and a margin, and the slices where enough is left."""
    lesion = grids.sampled(working_lesion(subject, prepared), prepared.geometry.square) > 0.1
    wide = np.stack([ndimage.binary_dilation(part, iterations=LESION_MARGIN) for part in lesion])
    brain = prepared.brain & ~wide
    share = (lesion & prepared.brain).sum(axis=(1, 2)) / np.maximum(
        prepared.brain.sum(axis=(1, 2)), 1
    )
    return brain, share <= MOST_LESION_SHARE


def working_lesion(subject: Subject, prepared: ModelInput) -> NDArray[np.float32]:
    """The lesion's share of each voxel on the working grid."""
    geometry = prepared.geometry
    turned = preprocess.turned(subject.lesion.astype(np.float32), geometry.axes, geometry.flips)
    return preprocess.reduced(turned, geometry.factors)
