"""Marked regions as examples: which are tumour, which white-matter disease or nothing at all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.imaging import shape
from agent.imaging.preprocess import ModelInput
from agent.imaging.results import Shape

LEAST_OVERLAP = 0.1  # of the region or of the expert's mask: then the region is tumour


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One subject as the detector answered it: labels and expert mask on the source grid.

    `group` names whom it is counted with in the figures. A subject may come several times, as at
    several thresholds: it is one subject when weights and folds are made, and is judged by what is
    `served` alone.
    """

    subject: str
    group: str
    tumour_patient: bool
    labels: NDArray[np.uint16]
    prepared: ModelInput
    lesion: NDArray[np.bool_]
    served: bool = True


@dataclass(frozen=True, kw_only=True)
class Marked:
    """One marked region; no shape where it is too small to be described."""

    shape: Shape | None
    tumour: bool


@dataclass(frozen=True, kw_only=True)
class Described:
    """One subject's regions."""

    subject: str
    group: str
    tumour_patient: bool
    regions: tuple[Marked, ...]
    served: bool = True

    @property
    def tumour_regions(self) -> tuple[Marked, ...]:
        """Those that are tumour; empty too where the detector missed it."""
        return tuple(region for region in self.regions if region.tumour)


def describe(sample: Sample) -> Described:
    """What the detector marked, in the measures that serving uses."""
    shapes = shape.describe(sample.labels, sample.prepared)
    return Described(
        subject=sample.subject,
        group=sample.group,
        tumour_patient=sample.tumour_patient,
        regions=tuple(
            Marked(shape=of, tumour=sample.tumour_patient and is_lesion(sample, number))
            for number, of in enumerate(shapes, start=1)
        ),
        served=sample.served,
    )


def is_lesion(sample: Sample, number: int) -> bool:
    """Whether a region and the expert's mask share enough of either."""
    region = sample.labels == number
    common = int((region & sample.lesion).sum())
    smaller = min(int(region.sum()), int(sample.lesion.sum()))
    return common > 0 and common >= LEAST_OVERLAP * smaller
