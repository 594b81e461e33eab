"""What the source of a study holds of it, and asking it to send what is missing."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from agent.dicom import query, transport
from agent.dicom.listener import ACCEPTED_CLASSES
from agent.dicom.peer import Destination
from agent.dicom.query import PeerSeries
from agent.dicom.transport import AnyDestination
from agent.errors import PeerError
from storage.records import SeriesUid, StudyUid

_MODALITIES = ("MR", "")  # empty: the peer does not say


@dataclass(frozen=True, kw_only=True)
class Source:
    """A sender that may be asked `at` this address, and by C-MOVE where it has a `mover`."""

    ae_title: str
    at: AnyDestination
    mover: Destination | None
    calling_ae: str


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """Images by series, of the kinds that we take; `listed` is what counting one by one gave."""

    counts: Mapping[SeriesUid, int]
    listed: Mapping[PeerSeries, int] = field(default_factory=dict)


def ask(
    source: Source,
    study_uid: StudyUid,
    *,
    arrived: Mapping[SeriesUid, int],
    ours: AbstractSet[SeriesUid],
    known: Mapping[PeerSeries, int],
) -> Holdings:
    """Ask for the number of images, and list a series only where that number leaves a doubt.

    Series of other modalities and those of `ours`, our own results, are left out. `known` is what
    was listed before: a series of which the source says the same is not listed again. Raises
    `PeerError` when the source cannot be asked.
    """
    counts: dict[SeriesUid, int] = {}
    listed: dict[PeerSeries, int] = {}
    for one in transport.series_of(source.at, study_uid, calling_ae=source.calling_ae):
        uid, count = one.series_uid, one.instance_count
        if uid in ours or (one.modality not in _MODALITIES and uid not in arrived):
            continue
        if count is None or count != arrived.get(uid, 0):
            count = None if count is None else known.get(one)
            count = _listed(source, study_uid, one) if count is None else count
            listed[one] = count
        if count:
            counts[uid] = count
    return Holdings(counts=counts, listed=listed)


def fetch(source: Source, study_uid: StudyUid, series_uid: SeriesUid) -> int:
    """Have a series sent to us (C-MOVE); how many images the source says it sent.

    Raises `PeerError` when it refuses or breaks off.
    """
    if source.mover is None:
        raise PeerError(f"{source.ae_title} is not to be asked for images.")
    return query.move_series(
        source.mover, study_uid, series_uid, calling_ae=source.calling_ae, to_ae=source.calling_ae
    )


def _listed(source: Source, study_uid: StudyUid, series: PeerSeries) -> int:
    """The images of the SOP classes that we take; those of an unknown class count as well."""
    classes = transport.classes_of(
        source.at, study_uid, series.series_uid, calling_ae=source.calling_ae
    )
    return sum(not one or one in ACCEPTED_CLASSES for one in classes.values())
