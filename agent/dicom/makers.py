"""Tells what a scanner made from what other software computed out of it.

A computed series (another program's result, written as MR) must never be read as an acquisition,
nor open a study again: two programs that answer each other's results would never end.
"""

import re
from typing import Final

# Those who make MR scanners, as they write themselves in (0008,0070). A reformat made on the
# scanner's console bears their name and is read; software of others bears its own.
_SCANNERS: Final = re.compile(
    r"siemens|\bge\b|general electric|philips|toshiba|canon|hitachi|fujifilm|\buih\b"
    r"|united imaging|esaote|bruker|neusoft|mindray|alltech|\baspect\b|paramed|fonar|hyperfine"
    r"|mr solutions|synaptive|xingaoyi|time medical|basda|picker|marconi|shimadzu|elscint"
    r"|magnetom|imris",
    re.IGNORECASE,
)


def is_computed(*, image_type: str, manufacturer: str, burned_in: str) -> bool:
    """Whether an MR image was made from others by software that is no scanner's.

    `image_type` is value 1 of (0008,0008), `manufacturer` (0008,0070), `burned_in` (0028,0301).
    An image that names no maker gets the benefit of the doubt.
    """
    if image_type.strip().upper() != "DERIVED":
        return False
    if burned_in.strip().upper() == "YES":
        return True
    maker = manufacturer.strip()
    return bool(maker) and not _SCANNERS.search(maker)
