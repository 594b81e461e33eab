"""Texts of words and digits drawn once: a score on each slice costs next to nothing."""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from agent.imaging.patch import Patch

BRIGHT, CALM = 242, 196  # grey of the texts that matter most, and of the others

# Words are drawn whole, so that their letters keep their distances; numbers from single digits.
_PIECES = re.compile(r"[A-Za-z(][A-Za-z().-]*|.")

Coverage = NDArray[np.uint8]


@dataclass(frozen=True)
class Lettering:
    """Light letters with a dark rim, readable on tissue and on air, of one size in pixels."""

    points: int

    @property
    def rim(self) -> int:
        """Width of the dark rim."""
        return max(1, round(self.points / 9))

    @property
    def height(self) -> int:
        """Of every line, in pixels."""
        ascent, descent = self._metrics
        return ascent + descent + 2 * self.rim

    def width(self, text: str) -> int:
        """Of a line, in pixels."""
        return self._placed(text)[1][-1] + 2 * self.rim

    def patch(self, text: str, ink: int = CALM) -> Patch:
        """A line of text, ready to be laid over a picture."""
        words, pens = self._placed(text)
        letters = np.zeros((self.height, pens[-1] + 2 * self.rim), dtype=np.uint8)
        rims = np.zeros_like(letters)
        for word, pen in zip(words, pens, strict=False):
            letter, rim, _ = _drawn(self.points, self.rim, word)
            end = min(pen + letter.shape[1], letters.shape[1])  # a side bearing may end outside
            for whole, part in ((letters[:, pen:end], letter), (rims[:, pen:end], rim)):
                np.maximum(whole, part[:, : end - pen], out=whole)
        opacity = np.maximum(letters, rims)
        level = letters.astype(np.uint16) * np.uint16(ink) // np.maximum(opacity, np.uint8(1))
        colour = Image.fromarray(level.astype(np.uint8)).convert("RGB")
        return Patch(colour=colour, opacity=Image.fromarray(opacity))

    def _placed(self, text: str) -> tuple[list[str], list[int]]:
        """The pieces of a text, where each starts, and where the last one ends."""
        words = _PIECES.findall(text)
        pens = [0.0]
        for word in words:
            advance = _drawn(self.points, self.rim, word)[2]
            whole = word == " "  # a gap that is rounded down closes
            pens.append(ceil(pens[-1] + advance) if whole else pens[-1] + advance)
        return words, [round(pen) for pen in pens]

    @cached_property
    def _metrics(self) -> tuple[int, int]:
        return _font(self.points).getmetrics()


@lru_cache(maxsize=16)
def _font(points: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=points)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, so pictures cannot be lettered.")
    return font


@lru_cache(maxsize=1024)
def _drawn(points: int, rim: int, word: str) -> tuple[Coverage, Coverage, float]:
    """Coverage of a word or digit alone and with its rim, 0 to 255, and how far the pen moves."""
    font = _font(points)
    ascent, descent = font.getmetrics()
    advance = font.getlength(word)
    size = ceil(advance) + 2 * rim + 1, ascent + descent + 2 * rim
    coverages = []
    for stroke in (0, rim):
        picture = Image.new("L", size)
        ImageDraw.Draw(picture).text(
            (rim, rim + ascent), word, font=font, fill=255, anchor="ls", stroke_width=stroke
        )
        coverages.append(np.asarray(picture))
    return coverages[0], coverages[1], advance
