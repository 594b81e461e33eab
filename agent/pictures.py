"""PNG, JPEG, TIFF and BMP images from disk as volumes, one stack or one image each."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

from agent.errors import UnreadableInput
from agent.imaging.volume import Volume

ACCEPTED = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})
FIELD_OF_VIEW_MM = 240.0  # of the longer side, as usual for a head
STEP_MM = 5.0
NOMINAL_NOTE = (
    "2D images do not say how large their pixels are or how they lie: a longer side of "
    f"{FIELD_OF_VIEW_MM:g} mm, {STEP_MM:g} mm between slices and axial slices from feet to head "
    "are assumed, so lengths and volumes are nominal."
)

# Neighbours in a whole FLAIR stack correlate with .65 and more, and .18 more than slices half a
# stack apart. Heads of different patients correlate with .5 to .9 too, but their order makes no
# difference. Measured: all of 115 whole stacks were recognised, 1 of 180 folders of single images
# was taken for a stack. A part of a stack may be too even to be recognised: hence STACK.
LEAST_CORRELATION = 0.5
LEAST_ADVANTAGE = 0.12
_FEWEST_FOR_A_STACK = 6
_THUMBNAIL = 48

_MAXIMUM_PIXELS = 1 << 26
_UNREADABLE = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    OSError,
    EOFError,
    ValueError,
    SyntaxError,  # what Pillow raises for a broken PNG
)


class Arrangement(StrEnum):
    """How the images of a folder belong together."""

    AUTO = "AUTO"
    STACK = "STACK"
    SINGLE = "SINGLE"


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """One grey image and where it came from."""

    name: str
    pixels: NDArray[np.float32]


def read_images(path: Path, *, arrangement: Arrangement = Arrangement.AUTO) -> list[Volume]:
    """Read an image file, or all images directly in a folder, in natural order of their names.

    AUTO makes one stack of them when they have one size and neighbours in that order resemble
    each other more than distant images do; otherwise each image is a volume of one slice.
    Colour becomes grey; 16-bit values are kept. The affine is nominal (`NOMINAL_NOTE`).
    Raises UnreadableInput.
    """
    pictures = [picture for file in _files(path) for picture in _pictures(file)]
    sizes = sorted({picture.pixels.shape for picture in pictures})
    if arrangement is Arrangement.STACK and len(sizes) > 1:
        raise UnreadableInput(
            f"The images in {path.name} have {len(sizes)} different sizes, from "
            f"{_size(sizes[0])} to {_size(sizes[-1])}; a stack needs one."
        )
    stacked = arrangement is Arrangement.STACK or (
        arrangement is Arrangement.AUTO and len(sizes) == 1 and _is_stack(pictures)
    )
    return [_volume(pictures)] if stacked else [_volume([picture]) for picture in pictures]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UnreadableInput(f"There is no file or folder {path}.")
    everything = [file for file in path.iterdir() if file.is_file()]
    files = [file for file in everything if file.suffix.lower() in ACCEPTED]
    if not files:
        endings = sorted({file.suffix or "without ending" for file in everything})
        raise UnreadableInput(
            f"{path.name} holds no images: found {', '.join(endings) or 'nothing'}, accepted are "
            f"{', '.join(sorted(ACCEPTED))}."
        )
    return sorted(files, key=lambda file: (_natural(file.name), file.name))


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort key that puts `slice2` before `slice10`."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.lower())
    return [(True, int(p), "") if p.isdecimal() else (False, 0, p) for p in parts]


def _pictures(file: Path) -> Iterator[_Picture]:
    """The pages of one file: one, but for TIFF stacks."""
    try:
        with Image.open(file) as image:
            pages = getattr(image, "n_frames", 1)
            if image.width * image.height * pages > _MAXIMUM_PIXELS:
                raise UnreadableInput(f"{file.name} has more than {_MAXIMUM_PIXELS} pixels.")
            for number, page in enumerate(ImageSequence.Iterator(image), start=1):
                name = file.name if pages == 1 else f"{file.name}#{number}"
                yield _Picture(name=name, pixels=_grey(page, file))
    except _UNREADABLE as error:
        raise UnreadableInput(f"{file.name} cannot be read as an image: {error}.") from error


def _grey(image: Image.Image, file: Path) -> NDArray[np.float32]:
    """Grey values as they stand; `convert("L")` would cut 16 bits down to 8."""
    plain = image.mode == "L" or image.mode == "F" or image.mode.startswith("I")
    pixels = np.asarray(image if plain else image.convert("L"), dtype=np.float32)
    if not np.isfinite(pixels).all():
        raise UnreadableInput(f"{file.name} holds values that are no numbers.")
    return pixels


def _is_stack(pictures: Sequence[_Picture]) -> bool:
    """Whether neighbours resemble each other, and more than images half the set apart do."""
    if len(pictures) < _FEWEST_FOR_A_STACK:
        return False
    vectors = np.stack([_thumbnail(picture.pixels) for picture in pictures])
    near, far = (
        float((vectors[:-lag] * vectors[lag:]).sum(axis=1).mean())
        for lag in (1, len(pictures) // 2)
    )
    return near >= LEAST_CORRELATION and near - far >= LEAST_ADVANTAGE


def _thumbnail(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """A small copy with mean 0 and length 1, so that products of two are correlations."""
    small = Image.fromarray(pixels).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    vector = np.asarray(small, dtype=np.float32).ravel()
    vector = vector - vector.mean()
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length > 0 else vector)


def _volume(pictures: Sequence[_Picture]) -> Volume:
    pixel_mm = FIELD_OF_VIEW_MM / max(pictures[0].pixels.shape)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = STEP_MM, pixel_mm, pixel_mm, 1.0
    return Volume(
        voxels=np.stack([picture.pixels for picture in pictures]),
        affine=affine,
        sources=tuple(picture.name for picture in pictures),
    )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
