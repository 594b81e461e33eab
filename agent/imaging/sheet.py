"""The most anomalous slices of a study on one page, plain above and with the map below."""

import numpy as np
from PIL import Image

from agent.imaging import captions
from agent.imaging.legend import legend
from agent.imaging.lettering import BRIGHT, CALM, Lettering
from agent.imaging.render import Painter, Rgb
from agent.imaging.results import Findings
from agent.imaging.volume import Volume

TILE_SIDE = 400  # pixels of the longer side of a slice
_BAND = 44  # pixels above, below and to the right of the tiles
_POINTS, _SMALL_POINTS = 16, 12
_GROUND = 90


def draw(volume: Volume, findings: Findings, *, heading: str, count: int = 4) -> Rgb:
    """The page; slices keep their true proportions."""
    painter = Painter(volume, findings)
    indices = sorted(np.argsort(-findings.slice_scores, kind="stable")[:count].tolist())
    width, height = _tile_size(volume)
    page = Image.new("RGB", (len(indices) * width + 2 * _BAND, 2 * height + 2 * _BAND))
    for column, index in enumerate(indices):
        for upper, drawn in ((0, painter.plain(index)), (height, painter.marked(index))):
            tile = drawn.resize((width, height), Image.Resampling.LANCZOS)
            page.paste(tile, (column * width, _BAND + upper))
        texts = captions.score(findings, index), captions.p_value(findings, index)
        for line, text in enumerate(texts):
            _write(page, text, (column * width + 8, _BAND + height + 8 + 18 * line), _SMALL_POINTS)
    bar = legend(
        Lettering(_SMALL_POINTS),
        threshold=painter.scale.threshold,
        top=painter.scale.top,
        ground=_GROUND,
    )
    bar.put(page, (page.width - bar.width - 8, 4))
    _write(page, heading, (8, _BAND // 4), _POINTS)
    _write(page, captions.RESEARCH_MARKING, (8, page.height - 3 * _BAND // 4), _POINTS, BRIGHT)
    return np.asarray(page)


def _write(page: Image.Image, text: str, at: tuple[int, int], points: int, ink: int = CALM) -> None:
    Lettering(points).patch(text, ink).put(page, at)


def _tile_size(volume: Volume) -> tuple[int, int]:
    """Columns and rows of a tile, in the true proportions of the slice."""
    _, down, along = volume.spacing_mm
    tall, wide = volume.voxels.shape[1] * down, volume.voxels.shape[2] * along
    zoom = TILE_SIDE / max(tall, wide)
    return max(1, round(wide * zoom)), max(1, round(tall * zoom))
