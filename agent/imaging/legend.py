"""The legend of the anomaly map, and a bar of five centimetres: patches to lay over a picture."""

import math

from PIL import Image

from agent.imaging import colours
from agent.imaging.lettering import CALM, Lettering
from agent.imaging.patch import Patch

RULER_MM = 50.0
_UNIT = "anomaly (a.u.)"  # a weighted sum of several measures has no unit of its own


def legend(lettering: Lettering, *, threshold: float, top: float, ground: int) -> Patch:
    """The colours from the threshold to the highest value, with numbers.

    They are drawn as they look on tissue of the grey `ground`, where they cover it but in part.
    """
    decimals = max(0, 1 - math.floor(math.log10(top - threshold)))
    texts = [
        lettering.patch(text)
        for text in (_UNIT, f"threshold {threshold:.{decimals}f}", f"{top:.{decimals}f}")
    ]
    unit, low, high = texts
    thick = max(6, round(lettering.points * 0.65))
    tick = max(2, thick // 3)
    width = max(low.width + high.width + lettering.points, 10 * lettering.points)
    rim = lettering.rim
    sheet = _blank(width, unit.height + thick + 2 * rim + tick + low.height)
    _lay(sheet, unit, (0, 0))
    upper = unit.height
    _block(sheet, (0, upper, width, upper + thick + 2 * rim), 0)
    bar = colours.ramp(width - 2 * rim, thick, ground)
    sheet.colour.paste(bar, (rim, upper + rim))
    below = upper + thick + 2 * rim
    for left in (0, width - 3 * rim):  # marks at both ends of the bar
        _block(sheet, (left, upper + rim, left + 3 * rim, below + tick), 0)
        _block(sheet, (left + rim, upper + rim, left + 2 * rim, below + tick), CALM)
    _lay(sheet, low, (0, below + tick))
    _lay(sheet, high, (width - high.width, below + tick))
    return sheet


def ruler(lettering: Lettering, pixel_mm: float) -> Patch:
    """A bar of `RULER_MM` along the rows of a picture, with its length."""
    rim = lettering.rim
    long, tall = round(RULER_MM / pixel_mm), lettering.points // 2
    text = lettering.patch(f"{RULER_MM / 10:g} cm")
    sheet = _blank(long + 2 * rim + lettering.points // 2 + text.width, lettering.height)
    _lay(sheet, text, (sheet.width - text.width, 0))
    middle = lettering.height // 2
    ends = middle - tall // 2, middle - tall // 2 + tall
    lines = (
        (rim, middle, rim + long, middle + rim),
        (rim, ends[0], 2 * rim, ends[1]),
        (long, ends[0], long + rim, ends[1]),
    )
    for left, top, right, bottom in lines:
        _block(sheet, (left - rim, top - rim, right + rim, bottom + rim), 0)
    for line in lines:
        _block(sheet, line, CALM)
    return sheet


def _blank(width: int, height: int) -> Patch:
    size = width, height
    return Patch(colour=Image.new("RGB", size), opacity=Image.new("L", size))


def _lay(sheet: Patch, part: Patch, at: tuple[int, int]) -> None:
    sheet.colour.paste(part.colour, at)
    sheet.opacity.paste(part.opacity, at)


def _block(sheet: Patch, box: tuple[int, int, int, int], grey: int) -> None:
    sheet.colour.paste((grey, grey, grey), box)
    sheet.opacity.paste(255, box)
