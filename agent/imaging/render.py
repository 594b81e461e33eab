"""The heatmap: one slice in grey, the anomaly map laid over it in colour, and what to make of it.

Colour begins at the pixel threshold and runs to the highest value of the study, and one grey window
serves the whole series: nothing but the brain changes while one scrolls.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from agent.imaging import colours, window
from agent.imaging.annotation import Annotation
from agent.imaging.edges import Edges
from agent.imaging.results import Findings
from agent.imaging.volume import Volume
from agent.imaging.window import Window

LONGER_SIDE, SHORTER_SIDE = 512, 240  # pixels; below that the texts cannot be read
_MOST_TIMES = 32

Rgb = NDArray[np.uint8]
Grey = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, upper, right and lower edge as Pillow counts them

_CONTOUR = (80, 235, 255)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How values become grey and colour, the same for every slice of a study.

    Colour runs from `threshold` to `top`.
    """

    window: Window
    threshold: float
    top: float


def scale_of(voxels: Grey, findings: Findings, *, windows: Sequence[Window] = ()) -> Scale:
    """The scale for a study: the first useful window, colour up to its highest anomaly."""
    threshold = findings.pixel_threshold
    above = findings.anomaly_map[findings.anomaly_map > threshold]
    peak = float(np.percentile(above, 99.5)) if above.size else threshold
    return Scale(
        window=window.choose(voxels, windows),
        threshold=threshold,
        top=max(peak, 2.0 * threshold, threshold + 1e-6),
    )


def enlargement(
    rows: int, columns: int, spacing_mm: tuple[float, float] = (1.0, 1.0)
) -> tuple[int, int]:
    """How many rows and columns of the picture show one of the slice.

    The longer side gets about `LONGER_SIDE` pixels; pixels that are no squares become nearly so.
    """
    down, along = spacing_mm
    finest = min(down, along)
    aspects = down / finest, along / finest
    sides = rows * aspects[0], columns * aspects[1]
    zoom = max(1.0, round(LONGER_SIDE / max(sides)), math.ceil(SHORTER_SIDE / min(sides)))
    times = [max(1, min(_MOST_TIMES, round(zoom * aspect))) for aspect in aspects]
    return times[0], times[1]


class Painter:
    """Draws the pictures of one study. What they have in common is drawn once.

    `windows` are the grey windows that the source states, in the order of preference; `edges` the
    letters of its plane, left out where it is not known. Without `is_measured` the pixels have no
    true size, and no length is shown.
    """

    def __init__(
        self,
        volume: Volume,
        findings: Findings,
        *,
        windows: Sequence[Window] = (),
        edges: Edges | None = None,
        is_measured: bool = True,
    ) -> None:
        _, down, along = volume.spacing_mm
        rows, columns = volume.voxels.shape[1:]
        self.times = enlargement(rows, columns, (down, along))
        self.scale = scale_of(volume.voxels, findings, windows=windows)
        self._volume, self._findings = volume, findings
        self._size = columns * self.times[1], rows * self.times[0]
        self.annotation = Annotation(
            self._size,
            findings,
            top=self.scale.top,
            edges=edges,
            pixel_mm=along / self.times[1] if is_measured else None,
        )

    def draw(self, index: int) -> Rgb:
        """One slice with map, outlines, legend and texts."""
        return np.asarray(self.picture(index))

    def picture(self, index: int) -> Image.Image:
        """The same for Pillow."""
        picture = self.marked(index)
        self.annotation.put(picture, index)
        return picture

    def marked(self, index: int) -> Image.Image:
        """One slice with map and outlines, without a word."""
        picture = self.plain(index)
        self._colour(picture, self._findings.anomaly_map[index])
        self._outline(picture, self._findings.labels[index])
        return picture

    def plain(self, index: int) -> Image.Image:
        """One slice without any mark."""
        level = Image.fromarray(self.scale.window.levels(self._volume.voxels[index]))
        return level.resize(self._size, Image.Resampling.BILINEAR).convert("RGB")

    def _colour(self, picture: Image.Image, anomaly: Grey) -> None:
        above = anomaly >= self.scale.threshold
        if not above.any():
            return
        (place,) = ndimage.find_objects(above.astype(np.int8))
        corner, values = self._enlarged(anomaly, place)
        colours.veil(values, threshold=self.scale.threshold, top=self.scale.top).put(
            picture, corner
        )

    def _outline(self, picture: Image.Image, labels: NDArray[np.uint16]) -> None:
        if not labels.any():
            return
        for number, place in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
            if place is not None:
                corner, share = self._enlarged((labels == number).astype(np.float32), place)
                line = _rim(share >= 0.5).astype(np.uint8) * np.uint8(255)
                height, width = line.shape
                box = (*corner, corner[0] + width, corner[1] + height)
                picture.paste(_CONTOUR, box, Image.fromarray(line))

    def _enlarged(self, image: Grey, place: tuple[slice, slice]) -> tuple[tuple[int, int], Grey]:
        """A part of a slice and the pixel around it, as large as in the picture, and its corner."""
        down, along = self.times
        rows, columns = image.shape
        lower = slice(max(0, place[0].start - 2), min(rows, place[0].stop + 2))
        wider = slice(max(0, place[1].start - 2), min(columns, place[1].stop + 2))
        part = np.ascontiguousarray(image[lower, wider], dtype=np.float32)
        size = part.shape[1] * along, part.shape[0] * down
        large = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR))
        return (wider.start * along, lower.start * down), large


def _rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels just outside a mask: the line hides nothing of the lesion."""
    wide = np.pad(mask, 1)
    grown = wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    return np.asarray(grown & ~mask)
