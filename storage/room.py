"""How much room a disk has, and how much of it images leave alone."""

import shutil
from dataclasses import dataclass
from pathlib import Path

NO_WATERMARK = 100.0
WARNING_PERCENT = 5.0  # of the disk before the watermark


@dataclass(frozen=True, kw_only=True)
class Room:
    """What is left on the disk: below `kept_bytes` images are refused, below `low_bytes` soon."""

    free_bytes: int
    used_percent: float
    kept_bytes: int
    low_bytes: int


def measure(
    folder: Path, *, reserve_bytes: int, watermark_percent: float, more_free_bytes: int = 0
) -> Room:
    """The room on the disk of a folder, or what it would be if so much went.

    The reserve and what the watermark leaves are both kept: whichever is more. Raises OSError.
    """
    disk = shutil.disk_usage(folder)
    # As `df` counts: what is set apart for the superuser belongs to neither.
    percent_bytes = max(disk.used + disk.free, 1) / 100
    above = NO_WATERMARK - watermark_percent
    early = above + WARNING_PERCENT if above else 0.0
    return Room(
        free_bytes=disk.free + more_free_bytes,
        used_percent=(disk.used - more_free_bytes) / percent_bytes,
        kept_bytes=max(reserve_bytes, round(above * percent_bytes)),
        low_bytes=max(2 * reserve_bytes, round(early * percent_bytes)),
    )
