"""The heatmap: one slice in grey, the anomaly map laid over it in colour, and what to make of it.

Colour begins at the pixel threshold and runs to the highest value of the study, so that all
slices of a study share one legend. Its lightness rises evenly, so the map also reads in grey.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from agent.imaging.results import Findings, Pattern
from agent.imaging.volume import Volume

RESEARCH_MARKING = "RESEARCH USE ONLY - NOT FOR DIAGNOSIS"
SMALLEST_SIDE = 512  # pixels; below that the texts cannot be read
TILE_SIDE = 400  # pixels of the longer side of a slice on the sheet

Rgb = NDArray[np.uint8]
Grey = NDArray[np.float32]

# From dark violet over red and orange to pale yellow; lightness (CIELab) grows in equal steps.
_COLOURS = np.array(
    [
        (98, 28, 118),
        (139, 35, 112),
        (176, 47, 96),
        (209, 66, 72),
        (233, 94, 45),
        (248, 130, 18),
        (253, 170, 20),
        (248, 211, 66),
        (250, 249, 158),
    ],
    dtype=np.float64,
)
_FAINTEST, _STRONGEST = 0.35, 0.75  # opacity at the threshold and at the highest value
_CONTOUR = (80, 235, 255)
_INK, _SHADOW = (238, 238, 238), (0, 0, 0)
_PATTERNS = {
    Pattern.NONE: "none",
    Pattern.MASS_LIKE: "mass-like",
    Pattern.WHITE_MATTER: "white matter",  # short, as it must fit on the narrowest picture
}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How values become grey and colour, the same for every slice of a study.

    `black` and `white` bound the grey window; colour runs from `threshold` to `top`.
    """

    black: float
    white: float
    threshold: float
    top: float


def scale_of(voxels: Grey, findings: Findings) -> Scale:
    """The scale for a study: a window over the whole head, colour up to its highest anomaly."""
    black = float(np.percentile(voxels, 1.0))
    tissue = voxels[voxels > voxels.mean()]
    white = float(np.percentile(tissue, 99.5)) if tissue.size else black
    threshold = findings.pixel_threshold
    above = findings.anomaly_map[findings.anomaly_map > threshold]
    peak = float(np.percentile(above, 99.5)) if above.size else threshold
    return Scale(
        black=black,
        white=max(white, black + 1e-6),
        threshold=threshold,
        top=max(peak, 2.0 * threshold, threshold + 1e-6),
    )


def enlargement(rows: int, columns: int) -> int:
    """How many times a slice is enlarged, so that its longer side has `SMALLEST_SIDE` pixels."""
    return max(1, min(8, round(SMALLEST_SIDE / max(rows, columns))))


def colours(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """RGB in 0..255 for values in 0..1."""
    stops = np.linspace(0.0, 1.0, len(_COLOURS))
    return np.stack([np.interp(values, stops, _COLOURS[:, c]) for c in range(3)], axis=-1)


def overlay(
    image: Grey,
    anomaly: Grey,
    labels: NDArray[np.uint16],
    *,
    scale: Scale,
    title: str,
    reading: str,
    factor: int = 1,
) -> Rgb:
    """One slice with map, outlines, legend and texts, `factor` times as large as the source."""
    size = image.shape[0] * factor, image.shape[1] * factor
    picture = Image.fromarray(_blended(image, anomaly, labels, scale, size))
    draw = ImageDraw.Draw(picture)
    points = max(11, round(min(size) / 38))
    margin = points // 2 + 2
    _write(draw, (margin, margin), title, points, "la")
    _write(draw, (margin, margin + round(1.5 * points)), reading, points, "la")
    _write(draw, (margin, size[0] - margin), RESEARCH_MARKING, points, "ls")
    _legend(picture, scale, points, (size[1] - margin, round(size[0] * 0.33)))
    return np.asarray(picture)


def title(findings: Findings, index: int) -> str:
    """What a picture of a slice is, and what the regions of its study look like together."""
    count = len(findings.slice_scores)
    return (
        f"NeuroSieve anomaly map   slice {index + 1}/{count}   "
        f"pattern: {_PATTERNS[findings.pattern]}"
    )


def reading(findings: Findings, index: int) -> str:
    """Score and p-value of a slice, as they are printed on it."""
    score, p_value = findings.slice_scores[index], findings.slice_p_values[index]
    return f"slice score {score:.3g}   p = {p_value:.2g}"


def sheet(volume: Volume, findings: Findings, *, heading: str, count: int = 4) -> Rgb:
    """The most anomalous slices of a study, plain above and with the map below, on one page."""
    scale = scale_of(volume.voxels, findings)
    indices = sorted(np.argsort(-findings.slice_scores, kind="stable")[:count].tolist())
    height, width = _tile_size(volume)
    band = round(TILE_SIDE * 0.11)
    page = Image.new("RGB", (len(indices) * width + 2 * band, 2 * height + 2 * band))
    draw = ImageDraw.Draw(page)
    points = round(band * 0.36)
    _write(draw, (points, band // 2), heading, points, "lm")
    _write(draw, (points, page.height - band // 2), RESEARCH_MARKING, points, "lm")
    for column, index in enumerate(indices):
        image, left = volume.voxels[index], column * width
        labels, anomaly = findings.labels[index], findings.anomaly_map[index]
        coloured = _blended(image, anomaly, labels, scale, (height, width))
        page.paste(Image.fromarray(grey(image, scale, (height, width))), (left, band))
        page.paste(Image.fromarray(coloured), (left, band + height))
        small = round(points * 0.75)
        _write(draw, (left + small, band + small), f"slice {index + 1}", small, "la")
        _write(draw, (left + small, band + height + small), reading(findings, index), small, "la")
    _legend(page, scale, round(points * 0.75), (page.width - points, band + height + points * 2))
    return np.asarray(page)


def grey(image: Grey, scale: Scale, size: tuple[int, int]) -> Rgb:
    """One slice without any mark, as `(rows, columns)` pixels."""
    level = _resized(image, size, Image.Resampling.BICUBIC)
    level = np.clip((level - scale.black) / (scale.white - scale.black), 0.0, 1.0)
    return np.repeat(np.rint(level * 255).astype(np.uint8)[..., None], 3, axis=-1)


def _blended(
    image: Grey, anomaly: Grey, labels: NDArray[np.uint16], scale: Scale, size: tuple[int, int]
) -> Rgb:
    canvas = grey(image, scale, size)
    value = _resized(anomaly, size, Image.Resampling.BILINEAR)
    passing = value >= scale.threshold
    above = np.minimum((value[passing] - scale.threshold) / (scale.top - scale.threshold), 1.0)
    opacity = (_FAINTEST + (_STRONGEST - _FAINTEST) * above)[:, None]
    canvas[passing] = np.rint(canvas[passing] * (1.0 - opacity) + colours(above) * opacity)
    for number in np.unique(labels[labels > 0]):
        region = (labels == number).astype(np.float32)
        canvas[_rim(_resized(region, size, Image.Resampling.BILINEAR) >= 0.5)] = _CONTOUR
    return canvas


def _rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels just outside a mask: the line hides nothing of the lesion."""
    wide = np.pad(mask, 1)
    grown = wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    return np.asarray(grown & ~mask)


def _resized(image: Grey, size: tuple[int, int], how: Image.Resampling) -> NDArray[np.float64]:
    if image.shape == size:
        return image.astype(np.float64)
    flat = Image.fromarray(np.ascontiguousarray(image, dtype=np.float32))
    return np.asarray(flat.resize((size[1], size[0]), how), dtype=np.float64)


def _tile_size(volume: Volume) -> tuple[int, int]:
    """Rows and columns of a tile of the sheet, in the true proportions of the slice."""
    _, down, along = volume.spacing_mm
    tall, wide = volume.voxels.shape[1] * down, volume.voxels.shape[2] * along
    zoom = TILE_SIDE / max(tall, wide)
    return max(1, round(tall * zoom)), max(1, round(wide * zoom))


def _legend(picture: Image.Image, scale: Scale, points: int, right_upper: tuple[int, int]) -> None:
    """The colours with their values, its frame ending at `right_upper`."""
    draw = ImageDraw.Draw(picture)
    right, upper = right_upper
    tall, thick = 14 * points, max(6, round(points * 0.8))
    ramp = colours(np.linspace(1.0, 0.0, tall))[:, None, :]
    bar = Image.fromarray(np.repeat(np.rint(ramp).astype(np.uint8), thick, axis=1))
    draw.rectangle((right - thick - 1, upper - 1, right, upper + tall), outline=_INK)
    picture.paste(bar, (right - thick, upper))
    digits = max(0, 1 - int(np.floor(np.log10(scale.top - scale.threshold))))
    middle = (scale.threshold + scale.top) / 2
    for value, y in ((scale.top, 0.0), (middle, 0.5), (scale.threshold, 1.0)):
        at = right - thick - 5, upper + round(y * (tall - 1))
        _write(draw, at, f"{value:.{digits}f}", points, "rm")
    _write(draw, (right, upper - points), "anomaly", points, "rs")
    _write(draw, (right, upper + tall + points), "threshold", points, "ra")


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    points: int,
    anchor: str,
) -> None:
    """Light text with a dark rim, readable on tissue and on air."""
    font = ImageFont.load_default(size=points)
    draw.text(at, text, font=font, fill=_INK, anchor=anchor, stroke_width=2, stroke_fill=_SHADOW)
