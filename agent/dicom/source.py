"""The DICOM data sets behind a `Volume`, so that results can point back at them."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class SourceImages:
    """The chosen series in the slice order of its volume.

    Classic MR: `datasets` holds one single-frame data set a slice and `frame_numbers` is None.
    Enhanced MR: `datasets` holds the one multi-frame data set and `frame_numbers` the frame
    (counted from 1) of each slice.
    """

    datasets: tuple[Dataset, ...]
    frame_numbers: tuple[int, ...] | None = None

    @property
    def slice_count(self) -> int:
        """How many slices the volume has."""
        return len(self.datasets if self.frame_numbers is None else self.frame_numbers)

    def slices(self) -> Iterator[tuple[Dataset, int | None]]:
        """Data set and frame number (None for a single-frame image) of each slice."""
        if self.frame_numbers is None:
            yield from ((dataset, None) for dataset in self.datasets)
        else:
            yield from ((self.datasets[0], number) for number in self.frame_numbers)
