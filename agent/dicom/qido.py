"""QIDO-RS (PS3.18 10.6): what a DICOMweb peer holds of a study, as `query` asks it by C-FIND."""

from collections.abc import Iterator
from typing import Any

from agent.dicom import web
from agent.dicom.query import PeerSeries
from agent.dicom.web import WebDestination
from storage.records import SeriesUid, SopUid, StudyUid

_SOP_CLASS, _SOP_UID = "00080016", "00080018"
_MODALITY, _SERIES_UID, _COUNT = "00080060", "0020000E", "00201209"
_MAXIMUM_PAGES = 100  # of whatever length the peer likes


def series_of(destination: WebDestination, study_uid: StudyUid) -> list[PeerSeries]:
    """The series of a study that the peer holds; empty where it does not know the study.

    Raises `PeerError` when the peer cannot be asked.
    """
    found = _all(destination, f"studies/{study_uid}/series", _SERIES_UID, included=_COUNT)
    return [
        PeerSeries(
            series_uid=SeriesUid(_text(one, _SERIES_UID)),
            modality=_text(one, _MODALITY),
            instance_count=int(text) if (text := _text(one, _COUNT)).isdecimal() else None,
        )
        for one in found
    ]


def classes_of(
    destination: WebDestination, study_uid: StudyUid, series_uid: SeriesUid
) -> dict[SopUid, str]:
    """The instances of a series and the SOP class of each; errors as of `series_of`."""
    path = f"studies/{study_uid}/series/{series_uid}/instances"
    found = _all(destination, path, _SOP_UID, included=_SOP_CLASS)
    return {SopUid(_text(one, _SOP_UID)): _text(one, _SOP_CLASS) for one in found}


def _all(
    destination: WebDestination, path: str, unique: str, *, included: str
) -> Iterator[dict[str, Any]]:
    """Page by page, until one holds nothing new: peers cut their answers where they like."""
    seen: set[str] = set()
    for _ in range(_MAXIMUM_PAGES):
        parameters = {"includefield": included, "offset": str(len(seen))}
        page = {_text(one, unique): one for one in web.search(destination, path, parameters)}
        fresh = page.keys() - seen - {""}
        if not fresh:
            return
        yield from (page[uid] for uid in page if uid in fresh)
        seen |= fresh


def _text(found: dict[str, Any], tag: str) -> str:
    """The first value of an attribute in DICOM JSON (PS3.18 F.2); empty where there is none."""
    element = found.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]).strip() if isinstance(values, list) and values else ""
