"""Texts, legend and scale bar of the pictures of one study, placed once for all of them."""

from collections.abc import Iterator

from PIL import Image

from agent.imaging import captions, layout
from agent.imaging.edges import Edges
from agent.imaging.layout import Blocks, Item, Page, Slot
from agent.imaging.legend import legend, ruler
from agent.imaging.lettering import BRIGHT, CALM, Lettering
from agent.imaging.patch import Patch
from agent.imaging.results import Findings

_GROUND = 90  # grey of brain tissue in a usual window
_SMALLEST_POINTS = 8
_EDGES = ("left", "right", "top", "bottom")


class Annotation:
    """What is written over pictures of one `size` (columns, rows): still parts, and changing ones.

    `pixel_mm` is the distance between the columns of the picture, None where it is not known.
    """

    def __init__(
        self,
        size: tuple[int, int],
        findings: Findings,
        *,
        top: float,
        edges: Edges | None,
        pixel_mm: float | None,
    ) -> None:
        self._findings = findings
        self._lines: dict[str, Patch] = {}
        columns, rows = size
        usual = max(12, round(min(size) / 38))
        for points in range(usual, _SMALLEST_POINTS - 1, -1):
            self._lettering = Lettering(points)
            self._still = dict(self._still_parts(top, edges, pixel_mm, columns))
            page = Page(rows=rows, columns=columns, margin=points // 2, gap=points)
            slots = layout.arrange(page, self._blocks(), self._letters())
            if layout.fits(page, slots):
                break
        self.slots = {slot.name: slot for slot in slots}

    def put(self, picture: Image.Image, index: int) -> None:
        """Write everything over the picture of a slice."""
        for name, patch in self._still.items():
            _put(patch, picture, self.slots[name])
        for name, text in self.changing(index).items():
            _put(self._line(name, text), picture, self.slots[name])

    def changing(self, index: int) -> dict[str, str]:
        """The texts of a slice by the name of their slot."""
        return {
            "score": captions.score(self._findings, index),
            "p": captions.p_value(self._findings, index),
            "here": captions.here(self._findings, index),
        }

    def _line(self, name: str, text: str) -> Patch:
        """A changing text; most of them stand on many slices."""
        if text not in self._lines:
            self._lines[text] = self._lettering.patch(text, BRIGHT if name == "here" else CALM)
        return self._lines[text]

    def _still_parts(
        self, top: float, edges: Edges | None, pixel_mm: float | None, columns: int
    ) -> Iterator[tuple[str, Patch]]:
        lettering = self._lettering
        yield "title", lettering.patch(captions.TITLE)
        yield "verdict", lettering.patch(captions.verdict(self._findings), BRIGHT)
        for name, line in zip(("research", "diagnosis"), _marking(), strict=True):
            yield name, lettering.patch(line, BRIGHT)
        threshold = self._findings.pixel_threshold
        yield "legend", legend(lettering, threshold=threshold, top=top, ground=_GROUND)
        if pixel_mm:
            bar = ruler(lettering, pixel_mm)
            if bar.width <= columns // 2:
                yield "ruler", bar
        larger = Lettering(round(1.2 * lettering.points))
        for edge in _EDGES if edges else ():
            yield edge, larger.patch(getattr(edges, edge), BRIGHT)

    def _blocks(self) -> Blocks:
        """The item nearest to the edge comes first."""
        ruler = (self._item("ruler"),) if "ruler" in self._still else ()
        return Blocks(
            top_left=(self._item("title"), self._item("score"), self._item("p")),
            top_right=(self._item("verdict"), self._item("here")),
            bottom_left=(self._item("diagnosis"), self._item("research"), *ruler),
            bottom_right=(self._item("legend"),),
        )

    def _letters(self) -> dict[str, Item]:
        return {edge: self._item(edge) for edge in _EDGES if edge in self._still}

    def _item(self, name: str) -> Item:
        """A part with room for the widest text of the study, so that nothing moves."""
        if name in self._still:
            patch = self._still[name]
            return Item(name=name, width=patch.width, height=patch.height)
        count = len(self._findings.slice_scores)
        texts = {self.changing(index)[name] for index in range(count)}
        width = max(map(self._lettering.width, texts))
        return Item(name=name, width=width, height=self._lettering.height)


def _marking() -> list[str]:
    """Two short lines stay in a corner, one long one would lie under the brain."""
    return captions.RESEARCH_MARKING.split(" - ")


def _put(patch: Patch, picture: Image.Image, slot: Slot) -> None:
    left = slot.left + slot.width - patch.width if slot.to_right else slot.left
    patch.put(picture, (left, slot.top))
