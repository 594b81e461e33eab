"""A set of single images in two classes, and the part of each image that a model may look at."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import Delaunay

from agent.imaging import head, morphology
from model_training import collection
from model_training.collection import Member, Split

Image = NDArray[np.float32]  # [row, column]
Images = NDArray[np.float32]  # [image, row, column]
Mask = NDArray[np.bool_]

SIZE = 128
SMOOTHING = 1 / 128  # of the image's side
OPENING = 3 / 128  # cuts off writing and frames
HEAD_SIDE = 0.9  # of the frame: where the longer side of the head goes
TISSUE = 0.4  # value of the head's median in a framed image
LARGEST = 1.2


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """Images in two classes, brought to one size with black margins that keep their shape.

    `images` from 0 to 1 `[image, row, column]`; `sizes` rows and columns as stored; equal `groups`
    are one patient or images that are nearly the same: never on both sides of a split.
    """

    images: Images
    sizes: NDArray[np.int64]
    abnormal: NDArray[np.bool_]
    groups: NDArray[np.str_]
    splits: NDArray[np.str_]

    def part(self, split: Split) -> NDArray[np.bool_]:
        """Which images lie in a split."""
        return np.asarray(self.splits == split.value)


def read(folder: Path, *, size: int = SIZE) -> ImageSet:
    """The images of a prepared collection whose class is known; of a volume its middle slice.

    Raises ValueError where one of the classes is missing, FileNotFoundError without a collection.
    """
    members = [one for one in collection.members(folder) if one.abnormal is not None]
    if len({one.abnormal for one in members}) < 2:
        raise ValueError(
            f"{folder} names no abnormal or no normal subjects; `neurosieve-train prepare` fills "
            "the column abnormal from class folders or a table."
        )
    slices = [middle_slice(one) for one in members]
    return ImageSet(
        images=np.stack([fitted(one, size) for one in slices]),
        sizes=np.array([one.shape for one in slices]),
        abnormal=np.array([bool(one.abnormal) for one in members]),
        groups=np.array([one.group for one in members]),
        splits=np.array([one.split.value for one in members]),
    )


def middle_slice(member: Member) -> Image:
    """The image of a member; of a volume its middle slice."""
    voxels = collection.read(member).volume.voxels
    return np.asarray(voxels[len(voxels) // 2])


def read_framed(member: Member, size: int) -> tuple[Image, Mask]:
    """The framed image of a member and its head."""
    image = fitted(middle_slice(member), size)
    return framed(image, head_mask(image))


def fitted(image: Image, size: int) -> Image:
    """The image scaled to 0 to 1 and into a square, black where it does not reach."""
    low, high = float(image.min()), float(image.max())
    image = (image - low) / max(high - low, 1e-6)
    if image.shape == (size, size):
        return image.astype(np.float32)
    step = max(image.shape) / size
    # Averages what falls together, or thin lines would come and go with the size.
    smooth = ndimage.gaussian_filter(image, max(step - 1, 0.0) / 2)
    start = [(extent - 1) / 2 - step * (size - 1) / 2 for extent in image.shape]
    return np.asarray(
        ndimage.affine_transform(smooth, [step, step], start, (size, size), order=1),
        dtype=np.float32,
    )


def head_mask(image: Image) -> Mask:
    """The head as one convex piece; the whole image where nothing stands out.

    Frames, writing and rulers are thinner than the opening and fall away.
    """
    side = max(image.shape)
    smooth = ndimage.gaussian_filter(image, SMOOTHING * side)
    spacing = (1.0, 1.0, 1.0)
    bright = (smooth > 0.5 * head.otsu(smooth))[None]
    solid = morphology.opened(bright, OPENING * side, spacing)
    solid = morphology.filled(morphology.closed(solid, 2 * OPENING * side, spacing))
    solid = morphology.opened(solid, 2 * OPENING * side, spacing)
    if not solid.any():
        return np.ones(image.shape, dtype=np.bool_)
    return hull(morphology.largest_component(solid)[0])


def hull(mask: Mask) -> Mask:
    """The convex hull of a mask: a scalp too thin for the opening belongs to the head again."""
    edge = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    if min(np.ptp(edge, axis=0)) < 2:
        return mask
    inside = Delaunay(edge).find_simplex(np.argwhere(np.ones(mask.shape))) >= 0
    return np.asarray(inside.reshape(mask.shape))


def framed(image: Image, mask: Mask) -> tuple[Image, Mask]:
    """Image and mask with the head centred, one size and one brightness, and nothing around it.

    What the audit calls border, background, area and position is gone after this.
    """
    size = image.shape[0]
    air = float(np.median(image[~mask])) if not mask.all() else 0.0
    tissue = max(float(np.median(image[mask])) - air, 0.02)
    values = np.where(mask, (image - air) * (TISSUE / tissue), 0.0).clip(0.0, LARGEST)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    step = max(np.ptp(rows), np.ptp(columns), 1) / (HEAD_SIDE * size)
    start = [(one[0] + one[-1]) / 2 - step * (size - 1) / 2 for one in (rows, columns)]
    moved = ndimage.affine_transform(values, [step, step], start, order=1)
    inside = ndimage.affine_transform(mask.astype(np.float32), [step, step], start, order=1) > 0.5
    return np.where(inside, moved, 0.0).astype(np.float32), np.asarray(inside)
