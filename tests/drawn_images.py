"""Sets of drawn 2D heads in two classes, with or without a trace of where they come from."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from model_training.image_sets.image_set import Image, ImageSet

nib: Any = nibabel

SIZE = 64


def head(
    chance: np.random.Generator, *, tumour: bool = False, size: int = SIZE, margin: int = 0
) -> Image:
    """A grey ellipse on black, by chance a little off the middle; `margin` black columns a side."""
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    rows, columns = rows - chance.normal(0, 0.02), columns - chance.normal(0, 0.02)
    inside = (rows / 0.4) ** 2 + (columns / 0.32) ** 2 < 1
    image = np.where(inside, 0.5, 0.05) + chance.normal(0, 0.02, (size, size))
    if tumour:
        image[(rows - 0.1) ** 2 + (columns - 0.1) ** 2 < 0.06**2] = 0.9
    if margin:
        image[:, :margin] = image[:, -margin:] = 0.0
    return image.clip(0, 1).astype(np.float32)


def image_set(*, groups: int = 40, abnormal_margin: int = 0, tumour: bool = True) -> ImageSet:
    """Two images a group, every second group abnormal, in three splits by group."""
    chance = np.random.default_rng(5)
    names = np.repeat(np.arange(groups), 2)
    abnormal = names % 2 == 1
    images = [
        head(chance, tumour=tumour and bool(one), margin=abnormal_margin if one else 0)
        for one in abnormal
    ]
    splits = np.array(["train", "train", "calibration", "test"])[(names // 2) % 4]
    return ImageSet(
        images=np.stack(images),
        sizes=np.full((len(names), 2), SIZE),
        abnormal=abnormal,
        groups=names.astype(np.str_),
        splits=splits,
    )


def features(images: ImageSet, *, strength: float, count: int = 12) -> NDArray[np.float64]:
    """Noise, of which the first column is `strength` deviations higher in abnormal images."""
    drawn = np.random.default_rng(8).normal(0, 1, (len(images.abnormal), count))
    drawn[:, 0] += strength * images.abnormal
    return drawn


def write_subject(collection: Path, name: str, image: Image) -> None:
    """One image as `prepare` keeps it: a volume of one slice."""
    (collection / name).mkdir(parents=True)
    stored = nib.Nifti1Image(image.T[..., None], np.diag([-1.0, -1.0, 1.0, 1.0]))
    nib.save(stored, collection / name / "image.nii.gz")


def write_table(collection: Path, lines: Iterable[str]) -> None:
    """`subjects.csv` with lines of subject, group, split and abnormal."""
    text = "\n".join(["subject,group,split,abnormal", *lines, ""])
    (collection / "subjects.csv").write_text(text)


def write_collection(collection: Path, images: ImageSet) -> None:
    """The whole set."""
    lines = []
    for place, image in enumerate(images.images):
        write_subject(collection, f"s{place}", image)
        answer = "yes" if images.abnormal[place] else "no"
        lines.append(f"s{place},{images.groups[place]},{images.splits[place]},{answer}")
    write_table(collection, lines)
