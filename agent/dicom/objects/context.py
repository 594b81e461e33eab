"""What every result object of one analysis is made from."""

from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from pydicom.dataset import Dataset

from agent.dicom.identifiers import ResultIdentity, identity_of
from agent.dicom.objects import profiles
from agent.dicom.objects.profiles import Profile
from agent.dicom.source import SourceImages
from storage.enums import Role
from storage.records import Analysis, Lesion, ResultObject, SeriesDecision, StudyUid


@dataclass(frozen=True, kw_only=True)
class ResultContext:
    """One analysis with the images it is about.

    `study` holds every readable image of the revision (headers are enough) and at least one;
    `source` the analysed series in slice order, None when none was chosen. `completion_evidence`
    is one sentence: what decided that the study was complete; `remarks` are sentences on what
    limits the answer. `replaces` are the objects of an older result that this one replaces, its
    report first. Dates and times of the objects are those of `analysis.created_at`, which must
    know its time zone.
    """

    study: tuple[Dataset, ...]
    source: SourceImages | None
    analysis: Analysis
    lesions: tuple[Lesion, ...]
    decisions: tuple[SeriesDecision, ...]
    completion_evidence: str
    namespace: UUID
    remarks: tuple[str, ...] = ()
    replaces: tuple[ResultObject, ...] = ()
    profile: Profile = profiles.USUAL
    device_name: str = "NEUROSIEVE"

    def __post_init__(self) -> None:
        if not self.study:
            raise ValueError("A result needs at least one image of its study; none was given.")
        if self.analysis.created_at.tzinfo is None:
            raise ValueError("The time of an analysis must state its time zone.")

    @cached_property
    def head(self) -> Dataset:
        """The image whose patient and study headers every object repeats."""
        return self.study[0] if self.source is None else self.source.datasets[0]

    @cached_property
    def identity(self) -> ResultIdentity:
        """What the UIDs of this result are derived from."""
        return identity_of(StudyUid(str(self.head.StudyInstanceUID)), self.analysis)

    @property
    def form(self) -> tuple[str, str]:
        """What the objects also depend on: the same result in another form has other UIDs."""
        return form_of(self.profile, self.device_name)

    @property
    def key_slices(self) -> list[int]:
        """The slices on which a lesion is largest, by index."""
        return sorted({lesion.slice_index for lesion in self.lesions})

    def series_number(self, role: Role) -> int:
        """The number of the series that holds the objects of a role."""
        return self.profile.series_number(role)


def form_of(profile: Profile, device_name: str) -> tuple[str, str]:
    """The part of an object's UIDs that stands for configuration."""
    return profile.digest, device_name
