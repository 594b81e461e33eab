"""What the pages say of studies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from agent.dicom import file_reader, report_view
from agent.errors import UnreadableInput
from agent.status.node_view import Site
from storage import feedback, results, studies
from storage.enums import TERMINAL_STATES, DeliveryState, Outcome, Role
from storage.errors import StorageError
from storage.records import (
    Analysis,
    Delivery,
    Feedback,
    Lesion,
    ResultObject,
    SeriesDecision,
    SeriesUid,
    Study,
    StudyKey,
)

# How a report names a series by what people typed into its description.
_DESCRIPTION = re.compile(r'^(Series(?: \d+)?) ".*?" (?=\()')


@dataclass(frozen=True, kw_only=True)
class Line:
    """One study in a list."""

    study: Study
    analysis: Analysis | None
    mark: Feedback | None
    patient: str

    @property
    def verdict(self) -> str:
        """What the node says, in words."""
        if self.analysis is None:
            # A study that has ended without one shall not be waited for.
            return "No result" if self.study.state in TERMINAL_STATES else "No result yet"
        return {
            Outcome.ABNORMAL: "Abnormality flagged",
            Outcome.NO_ABNORMALITY: "Nothing flagged",
            Outcome.NOT_ANALYSED: "Not analysed",
        }[self.analysis.outcome]

    @property
    def has_findings(self) -> bool:
        """Whether there is a picture to show."""
        return self.analysis is not None and self.analysis.study_score is not None


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The objects of one kind that fared alike on their way to one destination."""

    destination: str
    role: str
    state: DeliveryState
    error: str | None
    count: int
    attempts: int
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Everything about one revision."""

    line: Line
    decisions: tuple[SeriesDecision, ...]
    descriptions: Mapping[SeriesUid, str]  # empty where they may not be shown
    lesions: tuple[Lesion, ...]
    deliveries: tuple[Sent, ...]
    history: tuple[Feedback, ...]
    report: report_view.View | None
    revisions: tuple[int, ...]


def line(site: Site, session: Session, study: Study) -> Line:
    """One study for a list."""
    return Line(
        study=study,
        analysis=results.analysis_of(session, study.key),
        mark=feedback.latest(session, study.study_uid),
        patient=_patient(site, session, study.key) if site.show_patient_names else "",
    )


def whole(site: Site, session: Session, key: StudyKey) -> Whole:
    """One study for its own page. Raises NotFound."""
    study = studies.get(session, key)
    objects = results.objects_of(session, key)
    newest = studies.latest(session, study.study_uid).revision
    return Whole(
        line=line(site, session, study),
        decisions=studies.series_decisions(session, key),
        descriptions=_descriptions(site, session, key) if site.show_patient_names else {},
        lesions=results.lesions_of(session, key),
        deliveries=_sent(objects, results.deliveries_of(session, key)),
        history=tuple(feedback.history(session, study.study_uid)),
        report=_report(site, objects),
        revisions=tuple(range(1, newest + 1)),
    )


def _sent(objects: Sequence[ResultObject], deliveries: Sequence[Delivery]) -> tuple[Sent, ...]:
    roles = {one.sop_uid: one.role.value.lower().replace("_", " ") for one in objects}
    alike: dict[tuple[str, str, DeliveryState, str | None], list[Delivery]] = {}
    for one in deliveries:
        kind = (one.destination, roles[one.sop_uid], one.state, one.error)
        alike.setdefault(kind, []).append(one)
    return tuple(
        Sent(
            destination=kind[0],
            role=kind[1],
            state=kind[2],
            error=kind[3],
            count=len(found),
            attempts=max(one.attempts for one in found),
            updated_at=max(one.updated_at for one in found),
        )
        for kind, found in alike.items()
    )


def _report(site: Site, objects: tuple[ResultObject, ...]) -> report_view.View | None:
    first = next((one for one in objects if one.role is Role.REPORT), None)
    dataset = _dataset(site, first.path) if first else None
    if dataset is None:
        return None
    view = report_view.read(dataset)
    if site.show_patient_names:
        return view
    return replace(view, comments=tuple(_DESCRIPTION.sub(r"\1 ", one) for one in view.comments))


def _patient(site: Site, session: Session, key: StudyKey) -> str:
    """The patient's name from an image's header; the database does not know it."""
    instances = studies.instances_of(session, key)
    dataset = _dataset(site, instances[0].path) if instances else None
    return str(dataset.get("PatientName", "")).replace("^", " ").strip() if dataset else ""


def _descriptions(site: Site, session: Session, key: StudyKey) -> dict[SeriesUid, str]:
    """What each series is called, from its first image; people type names into that field."""
    first = {one.series_uid: one.path for one in reversed(studies.instances_of(session, key))}
    datasets = {uid: _dataset(site, path) for uid, path in first.items()}
    return {
        uid: str(dataset.get("SeriesDescription") or dataset.get("ProtocolName") or "")
        for uid, dataset in datasets.items()
        if dataset is not None
    }


def _dataset(site: Site, path: str) -> Dataset | None:
    try:
        file: Path = site.store.path_of(path)
        return file_reader.read(file, pixels=False)
    except (StorageError, UnreadableInput):
        return None
