"""Where texts and legend stand on a picture: in its corners, as there the air is.

Four blocks, each a column of items, take the corners; one letter stands at each edge between them.
Where a picture is too narrow for two blocks beside each other, they stand one above the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A rectangle of pixels for one item; narrower items keep to its `right` or left side."""

    name: str
    left: int
    top: int
    width: int
    height: int
    to_right: bool = False

    def meets(self, other: "Slot") -> bool:
        """Whether the two have a pixel in common."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )

    def lies_in(self, rows: int, columns: int) -> bool:
        """Whether all of it is on a picture of this size."""
        across = self.left >= 0 and self.left + self.width <= columns
        return across and self.top >= 0 and self.top + self.height <= rows


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something of this size, in pixels."""

    name: str
    width: int
    height: int


Block = tuple[Item, ...]


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """What stands in each corner, from top to bottom."""

    top_left: Block
    top_right: Block
    bottom_left: Block
    bottom_right: Block


@dataclass(frozen=True, kw_only=True)
class Page:
    """Size of the picture, and the room kept to its edges and between texts, in pixels."""

    rows: int
    columns: int
    margin: int
    gap: int


def arrange(page: Page, blocks: Blocks, letters: Mapping[str, Item]) -> list[Slot]:
    """A slot for each item. `letters` are those of the edges left, right, top and bottom."""
    above = list(_side(page, (blocks.top_left, blocks.top_right), letters.get("top")))
    below = list(_side(page, (blocks.bottom_left, blocks.bottom_right), letters.get("bottom")))
    return [*above, *(_mirrored(slot, page) for slot in below), *_beside(page, letters)]


def fits(page: Page, slots: list[Slot]) -> bool:
    """Whether all lie on the picture and none on another."""
    if not all(slot.lies_in(page.rows, page.columns) for slot in slots):
        return False
    return not any(one.meets(other) for one, other in combinations(slots, 2))


def _side(page: Page, corners: tuple[Block, Block], letter: Item | None) -> Iterator[Slot]:
    """Slots at the upper edge. The first item of a block is the one nearest to the edge."""
    left, right = corners
    room = page.columns - 2 * page.margin - _width(left) - _width(right)
    needed = page.gap + (letter.width + page.gap if letter else 0)
    if room >= needed:
        yield from _column(left, page, page.margin)
        yield from _column(right, page, page.margin, to_right=True)
        free = page.margin + _width(left), page.columns - page.margin - _width(right)
    else:
        stack = left + right
        yield from _column(stack, page, page.margin)
        free = page.margin + _width(stack), page.columns - page.margin
    if letter:
        middle, half = page.columns // 2, letter.width // 2 + page.gap
        centre = middle if free[0] + half <= middle <= free[1] - half else sum(free) // 2
        yield Slot(
            name=letter.name,
            left=centre - letter.width // 2,
            top=page.margin,
            width=letter.width,
            height=letter.height,
        )


def _column(block: Block, page: Page, top: int, *, to_right: bool = False) -> Iterator[Slot]:
    for item in block:
        left = page.columns - page.margin - item.width if to_right else page.margin
        yield Slot(
            name=item.name,
            left=left,
            top=top,
            width=item.width,
            height=item.height,
            to_right=to_right,
        )
        top += item.height


def _mirrored(slot: Slot, page: Page) -> Slot:
    return replace(slot, top=page.rows - slot.top - slot.height)


def _beside(page: Page, letters: Mapping[str, Item]) -> Iterator[Slot]:
    """Letters in the middle of the left and the right edge."""
    for edge in ("left", "right"):
        if edge in letters:
            item = letters[edge]
            right = page.columns - page.margin - item.width
            yield Slot(
                name=item.name,
                left=page.margin if edge == "left" else right,
                top=(page.rows - item.height) // 2,
                width=item.width,
                height=item.height,
            )


def _width(block: Block) -> int:
    return max((item.width for item in block), default=0)
