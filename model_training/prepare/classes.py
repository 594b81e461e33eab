"""Tell by words, of folders or of a table, whether an image is abnormal."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

ABNORMAL = (
    "yes",
    "abnormal",
    "tumor",
    "tumour",
    "glioma",
    "meningioma",
    "pituitary",
    "lesion",
    "pathological",
    "positive",
)
NORMAL = ("no", "normal", "notumor", "notumour", "healthy", "control", "hc", "negative")


@dataclass(frozen=True, kw_only=True)
class FolderClasses:
    """Words that say abnormal and words that say normal.

    Compared without regard to case, to a plural s, and to anything but letters and digits.
    """

    abnormal: tuple[str, ...] = ABNORMAL
    normal: tuple[str, ...] = NORMAL

    def of(self, word: str) -> bool | None:
        """Whether the word says abnormal; None where it says neither."""
        if _plain(word) in map(_plain, self.abnormal):
            return True
        return False if _plain(word) in map(_plain, self.normal) else None

    def of_folders(self, folders: Iterable[str]) -> bool | None:
        """What the innermost folder says that says anything."""
        said = [answer for answer in map(self.of, folders) if answer is not None]
        return said[-1] if said else None


def _plain(word: str) -> str:
    letters = re.sub(r"[^0-9a-z]", "", word.lower())
    return letters.removesuffix("s") if letters != "yes" else letters
