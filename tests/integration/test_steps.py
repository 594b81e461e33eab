"""The steps of a study over a real database, store and model: failure, repetition, another try."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest

import demo_study
from agent import inference
from agent.composition import Appearance
from agent.delivery import DeliverySteps
from agent.dicom import part10, report_page
from agent.dicom.objects.profiles import Profile, Slices
from agent.dicom.series import SeriesRules
from agent.inference import OnnxModel, Provider
from agent.steps import AnalysisSteps
from builders import NAMESPACE
from storage import results, studies
from storage.database import Database
from storage.files import FileStore
from storage.records import (
    Instance,
    Outcome,
    Priority,
    Role,
    SeriesUid,
    SopUid,
    Study,
    StudyKey,
    StudyState,
    StudyUid,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return inference.load(inference.default_folder(), provider=Provider.CPU)


@pytest.fixture
def steps(database: Database, tmp_path: Path, model: OnnxModel) -> AnalysisSteps:
    return AnalysisSteps(
        database=database,
        store=FileStore(tmp_path / "store", reserve_bytes=0),
        models=lambda _: model,
        rules=SeriesRules(),
        appearance=Appearance(namespace=NAMESPACE, profile=Profile(heatmap=Slices.OFF)),
        profiles={},
    )


@pytest.fixture
def study(steps: AnalysisSteps) -> Study:
    """The demo study, received and complete."""
    images = [_received(steps.store, path) for path in demo_study.IMAGES]
    with steps.database.begin() as session:
        (key,) = studies.record_instances(session, images)
        return studies.complete(session, key, evidence="test", now=NOW)


def _received(store: FileStore, path: Path) -> Instance:
    received = part10.parse(path.read_bytes())
    header = pydicom.dcmread(path, stop_before_pixels=True)
    digest = part10.content_sha256(received.encoded, received.transfer_syntax_uid)
    kept, _ = store.keep_image(str(header.StudyInstanceUID), digest, [path.read_bytes()])
    return Instance(
        study_uid=StudyUid(str(header.StudyInstanceUID)),
        series_uid=SeriesUid(str(header.SeriesInstanceUID)),
        sop_uid=SopUid(str(header.SOPInstanceUID)),
        sop_class_uid=str(header.SOPClassUID),
        transfer_syntax_uid=received.transfer_syntax_uid,
        source_ae="PACS",
        priority=Priority.ROUTINE,
        path=kept.path,
        content_sha256=digest,
        received_at=NOW,
    )


def run(steps: AnalysisSteps, key: StudyKey) -> None:
    for _, step in steps.in_order:
        step(key)


def built(steps: AnalysisSteps, key: StudyKey) -> dict[Role, pydicom.Dataset]:
    with steps.database.read() as session:
        objects = results.objects_of(session, key)
    return {one.role: pydicom.dcmread(steps.store.path_of(one.path)) for one in objects}


def test_every_step_may_run_twice(steps: AnalysisSteps, study: Study) -> None:
    run(steps, study.key)
    with steps.database.read() as session:
        first = results.objects_of(session, study.key)
    steps.analyse(study.key)
    steps.compose(study.key)
    with steps.database.read() as session:
        assert results.objects_of(session, study.key) == first
        assert studies.get(session, study.key).state is StudyState.COMPOSED
    assert {one.role for one in first} == {Role.REPORT, Role.SEGMENTATION}


def test_results_lost_before_they_were_recorded_are_built_to_the_same_bytes(
    steps: AnalysisSteps, study: Study
) -> None:
    """A crash between writing the files and committing their rows."""
    run(steps, study.key)
    with steps.database.begin() as session:
        first = results.objects_of(session, study.key)
        results.save_objects(session, study.key, [])
    steps.compose(study.key)
    with steps.database.read() as session:
        assert results.objects_of(session, study.key) == first


def test_a_failed_analysis_is_answered_with_a_report_that_says_so(
    steps: AnalysisSteps, study: Study
) -> None:
    steps.assemble(study.key)
    steps.give_up(study.key, "An internal error (MemoryError) stopped the analysis.")
    objects = built(steps, study.key)
    assert set(objects) == {Role.REPORT}
    assert "MemoryError" in report_page.render(objects[Role.REPORT])
    with steps.database.read() as session:
        analysis = results.analysis_of(session, study.key)
    assert analysis is not None
    assert (analysis.outcome, analysis.reason_code) == (
        Outcome.NOT_ANALYSED,
        "TECHNICAL_FAILURE",
    )


def test_giving_up_leaves_what_was_composed(steps: AnalysisSteps, study: Study) -> None:
    run(steps, study.key)
    steps.give_up(study.key, "The way out was broken.")
    assert set(built(steps, study.key)) == {Role.REPORT, Role.SEGMENTATION}


def test_another_try_after_a_failure_gives_results_under_new_uids(
    steps: AnalysisSteps, study: Study
) -> None:
    steps.assemble(study.key)
    steps.give_up(study.key, "The GPU was lost.")
    failure = built(steps, study.key)[Role.REPORT].SOPInstanceUID
    with steps.database.begin() as session:
        studies.retry(session, study.key, now=NOW)
    run(steps, study.key)
    objects = built(steps, study.key)
    assert set(objects) == {Role.REPORT, Role.SEGMENTATION}
    assert failure not in {one.SOPInstanceUID for one in objects.values()}


def test_a_failed_study_ends_failed_though_its_report_needs_no_destination(
    steps: AnalysisSteps, study: Study
) -> None:
    steps.assemble(study.key)
    steps.give_up(study.key, "The GPU was lost.")
    delivery = DeliverySteps(
        database=steps.database,
        store=steps.store,
        destinations=(),
        calling_ae="TEST",
        profiles={},
    )
    with steps.database.begin() as session:
        assert delivery.plan(session, study.key) == ()
        ended = studies.get(session, study.key)
    assert (ended.state, ended.error) == (StudyState.FAILED, "The GPU was lost.")


def test_a_study_that_no_rule_wants_is_answered_with_the_reason(
    steps: AnalysisSteps, study: Study
) -> None:
    picky = replace(steps, rules=SeriesRules(include=("nothing",), timing_suffices=False))
    run(picky, study.key)
    objects = built(picky, study.key)
    assert set(objects) == {Role.REPORT}
    with steps.database.read() as session:
        (decision,) = studies.series_decisions(session, study.key)
    assert not decision.chosen
    assert decision.reason
