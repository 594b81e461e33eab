"""UIDs that follow from what a result is, so that the same result always bears the same names.

A PACS answers Success to a second object under a known SOP Instance UID and keeps the first one.
Whatever can change a result therefore belongs to its identity.
"""

import hashlib
from dataclasses import astuple, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final
from uuid import UUID, uuid5

from storage.records import Analysis, SopUid, StudyUid

# Raise it whenever the content of our objects changes for the same analysis.
SCHEMA_VERSION: Final = 3


class Part(StrEnum):
    """What a UID names, beside the instances, which are named by `storage.enums.Role`."""

    SERIES = "SERIES"
    DIMENSIONS = "DIMENSIONS"
    TRACKING = "TRACKING"
    DEVICE = "DEVICE"
    MODEL = "MODEL"


@dataclass(frozen=True, kw_only=True)
class ResultIdentity:
    """Everything that tells one result from another; the revision's number does not.

    `result_sha256` covers what the model said: a GPU may answer the same question with other
    last digits, and the objects made from them must not share a name.
    """

    study_uid: StudyUid
    series_uid: str
    input_sha256: str
    model_sha256: str
    threshold_version: str
    code_version: str
    outcome: str
    reason_code: str
    result_sha256: str
    schema_version: int = SCHEMA_VERSION

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """All of it, in the order of the fields."""
        return tuple(map(str, astuple(self)))


def identity_of(study_uid: StudyUid, analysis: Analysis) -> ResultIdentity:
    """The identity of what an analysis said about a study."""
    said = (
        analysis.study_score,
        analysis.study_p_value,
        analysis.slice_scores,
        analysis.slice_p_values,
        analysis.reason,
        analysis.pattern,
        analysis.symmetry,
        analysis.near_ventricle,
    )
    return ResultIdentity(
        study_uid=study_uid,
        series_uid=analysis.series_uid or "",
        input_sha256=analysis.input_sha256,
        model_sha256=analysis.model_sha256,
        threshold_version=analysis.threshold_version,
        code_version=analysis.code_version,
        outcome=analysis.outcome,
        reason_code=analysis.reason_code or "",
        result_sha256=hashlib.sha256(repr(said).encode()).hexdigest(),
    )


def uid(namespace: UUID, identity: ResultIdentity, role: str, *parts: object) -> SopUid:
    """The UID for `role` (and `parts` of it: a source SOP Instance UID, a number) of a result."""
    return SopUid(_derived(namespace, *identity.parts, role, *parts))


def lesion_tracking_uid(namespace: UUID, identity: ResultIdentity, number: int) -> str:
    """The Tracking UID that one lesion bears in every object of a result."""
    return uid(namespace, identity, Part.TRACKING, number)


def model_uid(namespace: UUID, model_sha256: str) -> str:
    """The Device UID of a model: another one as soon as a weight changes (IHE AIR 6.5.3.1)."""
    return _derived(namespace, Part.MODEL, model_sha256)


def device_uid(namespace: UUID) -> str:
    """The Device UID of this installation, the observer of its reports."""
    return _derived(namespace, Part.DEVICE)


def _derived(namespace: UUID, *parts: object) -> str:
    # repr and not str: neighbours must not run together, ("1", "23") is not ("12", "3").
    return f"2.25.{uuid5(namespace, repr(tuple(map(str, parts)))).int}"
