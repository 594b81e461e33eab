"""The audit with what else is known of its studies, ready to be written out."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from agent import audit_codes
from agent import audit_trail as trail
from agent.audit_messages import Patient, Told
from agent.dicom import file_reader
from agent.errors import UnreadableInput
from storage import audit, results, studies
from storage.errors import NotFound, StorageError
from storage.records import AuditEvent, StudyKey
from storage.store import Store

_OF_RESULTS = (trail.RESULTS_SENT, trail.RESULTS_NOT_SENT)
NOBODY = Patient(patient_id="", name="")


def gather(
    session: Session, store: Store, *, since: datetime | None = None, patients: bool = False
) -> Iterator[Told]:
    """Every event, the oldest first.

    With `patients` each is told in full, with the patient as the study's kept images name them:
    the database does not know. Where no image is left, the patient is without a name.
    """
    for event in audit.since(session, since):
        of_study = audit_codes.kind_of(event.action).event in audit_codes.OF_A_STUDY
        key = StudyKey(event.subject) if of_study and "#" in event.subject else None
        yield Told(
            event=event,
            classes=_classes(session, event, key) if key else {},
            patient=_patient(session, store, key) if patients else None,
        )


def _classes(session: Session, event: AuditEvent, key: StudyKey) -> dict[str, int]:
    try:
        if event.action in _OF_RESULTS:
            return dict(Counter(one.sop_class_uid for one in results.objects_of(session, key)))
        return dict(Counter(one.sop_class_uid for one in studies.instances_of(session, key)))
    except NotFound:  # removed meanwhile
        return {}


def _patient(session: Session, store: Store, key: StudyKey | None) -> Patient:
    if key is None:
        return NOBODY
    try:
        image = studies.instances_of(session, key)[0]
        dataset = file_reader.read(store.path_of(image.path), pixels=False)
        return Patient(
            patient_id=str(dataset.get("PatientID") or ""),
            name=str(dataset.get("PatientName") or ""),
        )
    except (IndexError, StorageError, UnreadableInput):
        return NOBODY
