"""Small builders of received images, for the tests of the database."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from storage.enums import Priority
from storage.records import Instance, SeriesUid, SopUid, StudyUid

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
UID = StudyUid("1.2.826.0.1.100")


def image(number: int = 1, *, study: str = UID, content: str = "", **changes: Any) -> Instance:
    """Image `number` of a study; another `content` makes it a changed duplicate."""
    digest = hashlib.sha256(f"{study} {number} {content}".encode()).hexdigest()
    instance = Instance(
        study_uid=StudyUid(study),
        series_uid=SeriesUid(f"{study}.1"),
        sop_uid=SopUid(f"{study}.1.{number}"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        source_ae="MODALITY",
        priority=Priority.ROUTINE,
        path=f"images/{hashlib.sha256(study.encode()).hexdigest()[:32]}/{digest}.dcm",
        content_sha256=digest,
        received_at=NOW + timedelta(seconds=number),
    )
    return replace(instance, **changes)


def images(count: int, *, study: str = UID) -> list[Instance]:
    """The images 1 to `count` of a study, a second apart."""
    return [image(number, study=study) for number in range(1, count + 1)]
