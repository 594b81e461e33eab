"""C-FIND and C-MOVE in the Study Root model (PS3.4 C.4): what a peer holds, and asking it to send.

Only UIDs, modalities and counts are asked for and a peer's comments are left out of errors, so no
patient data pass here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import build_context

from agent.dicom import peer
from agent.dicom.peer import Destination
from agent.errors import NotOffered, PeerError
from storage.records import SeriesUid, SopUid, StudyUid

FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")  # Study Root, PS3.4 C.6.2
MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
_PENDING = (0xFF00, 0xFF01)


@dataclass(frozen=True, kw_only=True)
class PeerSeries:
    """A series as the peer knows it; the count is None where it does not say."""

    series_uid: SeriesUid
    modality: str
    instance_count: int | None


def series_of(
    destination: Destination, study_uid: StudyUid, *, calling_ae: str
) -> list[PeerSeries]:
    """The series of a study that the peer holds; empty where it does not know the study.

    Raises `PeerError` when the peer cannot be asked or does not answer to the end.
    """
    keys = _keys("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="")
    keys.Modality = keys.NumberOfSeriesRelatedInstances = ""
    return [
        PeerSeries(
            series_uid=SeriesUid(str(one.SeriesInstanceUID)),
            modality=str(one.get("Modality") or ""),
            instance_count=_count(one),
        )
        for one in _find(destination, keys, calling_ae)
        if one.get("SeriesInstanceUID")
    ]


def classes_of(
    destination: Destination, study_uid: StudyUid, series_uid: SeriesUid, *, calling_ae: str
) -> dict[SopUid, str]:
    """The instances of a series and the SOP class of each, an empty text where the peer is silent.

    Raises `PeerError` as `series_of` does.
    """
    keys = _keys(
        "IMAGE", StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid, SOPInstanceUID=""
    )
    keys.SOPClassUID = ""
    return {
        SopUid(str(one.SOPInstanceUID)): str(one.get("SOPClassUID") or "")
        for one in _find(destination, keys, calling_ae)
        if one.get("SOPInstanceUID")
    }


def move_series(
    destination: Destination,
    study_uid: StudyUid,
    series_uid: SeriesUid,
    *,
    calling_ae: str,
    to_ae: str,
) -> int:
    """Ask the peer to send a series to an AE title that it knows; how many images it says it sent.

    Raises `PeerError` when it refuses or breaks off.
    """
    keys = _keys("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid)
    with peer.association(destination, calling_ae, [build_context(MOVE)]) as association:
        if not association.accepted_contexts:
            raise PeerError(f"{destination.name} does not accept C-MOVE.")
        completed = 0
        for answer, _ in association.send_c_move(keys, to_ae, MOVE):
            status = answer.get("Status")
            if status is None:
                raise PeerError(f"{destination.name} broke off while it was sending.")
            completed = int(answer.get("NumberOfCompletedSuboperations") or completed)
            if status not in (0x0000, *_PENDING):
                raise PeerError(f"{destination.name} answered C-MOVE with status 0x{status:04X}.")
    return completed


def _find(destination: Destination, keys: Dataset, calling_ae: str) -> Iterator[Dataset]:
    with peer.association(destination, calling_ae, [build_context(FIND)]) as association:
        if not association.accepted_contexts:
            raise NotOffered(f"{destination.name} does not accept C-FIND.")
        for answer, found in association.send_c_find(keys, FIND):
            status = answer.get("Status")
            if status is None:
                raise PeerError(f"{destination.name} broke off in its answer to C-FIND.")
            if status in _PENDING and found is not None:
                yield found
            elif status != 0x0000:
                raise PeerError(f"{destination.name} answered C-FIND with status 0x{status:04X}.")


def _keys(level: str, **values: str) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(keys, keyword, value)
    return keys


def _count(found: Dataset) -> int | None:
    value = found.get("NumberOfSeriesRelatedInstances")
    try:
        return None if value in (None, "") else int(value)
    except (TypeError, ValueError):
        return None
