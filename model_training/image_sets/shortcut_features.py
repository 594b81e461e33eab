"""What of an image says where it comes from rather than what it shows.

Border, background, size and position of the head cannot show a tumour. Brightness and thumbnail
see a large bright one a little, so what they reach is an upper bound of the shortcut.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from model_training.image_sets.image_set import Image, Images, ImageSet, head_mask

CELLS = 8  # of the thumbnail, each way
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
FLAT = 0.02  # a line whose values differ less is padding
DARK = (0.01, 0.03, 0.06, 0.1)  # of the brightest value: what counts as background


class Shortcut(StrEnum):
    """One way of telling the classes apart without looking for a tumour."""

    SIZE = "stored width and height"
    BRIGHTNESS = "brightness"
    BORDER = "border left by the padding"
    THUMBNAIL = "8 x 8 thumbnail"
    BACKGROUND = "background share"
    HEAD = "head area and position"
    ALL = "all of these"


Table = dict[Shortcut, NDArray[np.float64]]


def of(images: ImageSet) -> Table:
    """Features `[image, feature]` of each shortcut; the stored size only where it differs."""
    table: Table = {}
    if len(np.unique(images.sizes, axis=0)) > 1:
        table[Shortcut.SIZE] = sizes(images.sizes)
    table[Shortcut.BRIGHTNESS] = brightness(images.images)
    table[Shortcut.BORDER] = np.stack([border(image) for image in images.images])
    table[Shortcut.THUMBNAIL] = thumbnails(images.images)
    table[Shortcut.BACKGROUND] = background(images.images)
    table[Shortcut.HEAD] = np.stack([head_place(image) for image in images.images])
    table[Shortcut.ALL] = np.concatenate(list(table.values()), axis=1)
    return table


def sizes(stored: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rows, columns and their ratio."""
    rows, columns = stored.T.astype(np.float64)
    return np.stack([rows, columns, rows / columns], axis=1)


def brightness(images: Images) -> NDArray[np.float64]:
    """Mean, deviation and percentiles of the whole image."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    spread = np.percentile(flat, PERCENTILES, axis=1).T
    return np.column_stack([flat.mean(axis=1), flat.std(axis=1), spread])


def border(image: Image) -> NDArray[np.float64]:
    """Values of the outermost lines, width of the flat margin on each side, shape of the rest."""
    sides = (image, image[::-1], image.T, image.T[::-1])  # top, bottom, left, right
    values = [value for side in sides for value in (side[0].mean(), side[0].std(), side[0].max())]
    margins = [margin(side) for side in sides]
    rows = max(image.shape[0] - margins[0] - margins[1], 1)
    columns = max(image.shape[1] - margins[2] - margins[3], 1)
    return np.array([*values, *margins, rows / columns], dtype=np.float64)


def margin(side: Image) -> int:
    """How many lines from the first on are one value."""
    flat = np.ptp(np.concatenate([side, np.repeat(side[:1, :1], len(side), 0)], axis=1), axis=1)
    uneven = np.flatnonzero(flat > FLAT)
    return int(uneven[0]) if len(uneven) else len(side)


def thumbnails(images: Images) -> NDArray[np.float64]:
    """Means of 8 x 8 cells."""
    _, rows, columns = images.shape
    summed = np.add.reduceat(images.astype(np.float64), starts(rows), axis=1)
    summed = np.add.reduceat(summed, starts(columns), axis=2)
    pixels = np.outer(np.diff(starts(rows), append=rows), np.diff(starts(columns), append=columns))
    return np.asarray((summed / pixels).reshape(len(images), -1))


def starts(extent: int) -> NDArray[np.intp]:
    """Where each of the eight cells begins."""
    return np.asarray(np.linspace(0, extent, CELLS, endpoint=False), dtype=np.intp)


def background(images: Images) -> NDArray[np.float64]:
    """Shares of pixels that are nearly black."""
    flat = images.reshape(len(images), -1)
    return np.stack([(flat <= level).mean(axis=1) for level in DARK], axis=1).astype(np.float64)


def head_place(image: Image) -> NDArray[np.float64]:
    """Area, middle, height and width of the head, as shares of the image."""
    mask = head_mask(image)
    rows, columns = np.nonzero(mask)
    extents = (np.ptp(rows) + 1, np.ptp(columns) + 1)
    return np.array(
        [
            mask.mean(),
            rows.mean() / len(image),
            columns.mean() / image.shape[1],
            extents[0] / len(image),
            extents[1] / image.shape[1],
            extents[0] / extents[1],
        ]
    )
