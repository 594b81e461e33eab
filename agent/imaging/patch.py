"""A small picture with opacity, made once and laid over many."""

from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Colours (RGB) and how much of the ground they cover (L), both of one size."""

    colour: Image.Image
    opacity: Image.Image

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return self.colour.width

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return self.colour.height

    def put(self, picture: Image.Image, at: tuple[int, int]) -> None:
        """Lay the patch over an RGB picture, its upper left pixel `at` (x, y)."""
        picture.paste(self.colour, at, self.opacity)
