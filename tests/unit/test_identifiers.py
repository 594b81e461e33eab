"""UIDs follow from what a result is, and from nothing else."""

import uuid
from dataclasses import replace

import pytest

import builders
from agent.dicom import identifiers
from agent.dicom.identifiers import ResultIdentity
from storage.enums import Outcome, Pattern, Role
from storage.records import Analysis, StudyUid

STUDY = StudyUid("1.2.3")


def an_analysis() -> Analysis:
    volume = builders.volume(builders.flair_series(slices=4, rows=16, columns=16))
    return builders.analysis(builders.findings(volume), series_uid="1.2.3.4")


def an_identity() -> ResultIdentity:
    return identifiers.identity_of(STUDY, an_analysis())


def a_uid(identity: ResultIdentity) -> str:
    return identifiers.uid(builders.NAMESPACE, identity, Role.REPORT)


def test_the_same_result_bears_the_same_name() -> None:
    assert a_uid(an_identity()) == a_uid(an_identity())


def test_the_time_of_the_analysis_does_not_change_its_name() -> None:
    later = replace(an_analysis(), created_at=builders.CREATED_AT.replace(year=2027))
    assert a_uid(identifiers.identity_of(STUDY, later)) == a_uid(an_identity())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outcome", Outcome.NO_ABNORMALITY),
        ("reason_code", "TECHNICAL_FAILURE"),
        ("reason", "another sentence"),
        ("series_uid", "1.2.3.5"),
        ("study_score", 1.0000001),
        ("study_p_value", 0.5),
        ("slice_scores", (0.25,)),
        ("slice_p_values", (0.25,)),
        ("pattern", Pattern.WHITE_MATTER),
        ("symmetry", 0.5),
        ("near_ventricle", 0.5),
        ("model_sha256", "c" * 64),
        ("threshold_version", "2"),
        ("input_sha256", "d" * 64),
        ("code_version", "0.2.0"),
    ],
)
def test_a_different_result_never_takes_an_old_name(field: str, value: object) -> None:
    changed = replace(an_analysis(), **{field: value})  # type: ignore[arg-type]
    assert a_uid(identifiers.identity_of(STUDY, changed)) != a_uid(an_identity())


def test_another_study_schema_or_installation_gives_another_name() -> None:
    names = {
        a_uid(an_identity()),
        a_uid(identifiers.identity_of(StudyUid("1.2.4"), an_analysis())),
        a_uid(replace(an_identity(), schema_version=identifiers.SCHEMA_VERSION + 1)),
        identifiers.uid(uuid.UUID(int=7), an_identity(), Role.REPORT),
    }
    assert len(names) == 4


def test_roles_and_parts_tell_the_objects_of_a_result_apart() -> None:
    made = [
        identifiers.uid(builders.NAMESPACE, an_identity(), *parts)
        for parts in (
            (Role.REPORT,),
            (Role.HEATMAP,),
            (Role.HEATMAP, "1.2", 3),
            (Role.HEATMAP, "1.23"),
            (Role.HEATMAP, "1.2"),
        )
    ]
    assert len(set(made)) == len(made)


def test_uids_are_valid_and_of_the_uuid_root() -> None:
    made = [identifiers.uid(builders.NAMESPACE, an_identity(), "role", n) for n in range(50)]
    assert all(name.startswith("2.25.") and len(name) <= 44 for name in made)
    assert all(not name.removeprefix("2.25.").startswith("0") for name in made)


def test_lesions_have_tracking_uids_of_their_own() -> None:
    first, second = (
        identifiers.lesion_tracking_uid(builders.NAMESPACE, an_identity(), n) for n in (1, 2)
    )
    assert first != second


def test_a_retrained_model_is_another_device() -> None:
    old, new = (identifiers.model_uid(builders.NAMESPACE, sha * 64) for sha in "ab")
    assert old != new
