"""The steps of a study over a real database, store and model: failure, repetition, another try."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID

import demo_study
from agent import inference
from agent.composition import Appearance
from agent.confirmation import Confirmation
from agent.delivery import DeliverySteps
from agent.dicom import report_page
from agent.dicom.objects.profiles import Profile, Slices
from agent.dicom.series import SeriesRules
from agent.errors import ConfigurationError
from agent.imaging import archive
from agent.inference import OnnxModel, Provider
from agent.model_toml import ModelDescription
from agent.steps import FINDINGS_FILE, AnalysisSteps
from analysed_node import received
from builders import NAMESPACE
from models_at_hand import OneModel
from storage import results, studies
from storage.database import Database
from storage.enums import Outcome, Role, StudyState
from storage.files import FileStore
from storage.records import Study, StudyKey

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return inference.load(inference.default_folder(), provider=Provider.CPU)


@pytest.fixture
def steps(database: Database, tmp_path: Path, model: OnnxModel) -> AnalysisSteps:
    return AnalysisSteps(
        database=database,
        store=FileStore(tmp_path / "store", reserve_bytes=0),
        models=OneModel(model),
        rules=SeriesRules(),
        appearance=Appearance(namespace=NAMESPACE, profile=Profile(heatmap=Slices.OFF)),
        profiles={},
    )


@pytest.fixture
def study(steps: AnalysisSteps) -> Study:
    """The demo study, received and complete."""
    images = [received(steps.store, path) for path in demo_study.IMAGES]
    with steps.database.begin() as session:
        (key,) = studies.record_instances(session, images)
        return studies.complete(session, key, evidence="test", now=NOW)


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
        confirmation=Confirmation(database=steps.database, calling_ae="TEST", ways={}),
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


def read_again(steps: AnalysisSteps, study: Study) -> Study:
    """The next revision, after this one was delivered to everybody."""
    with steps.database.begin() as session:
        for state in (StudyState.DELIVERING, StudyState.DELIVERED):
            studies.advance(session, study.key, state, now=NOW)
        return studies.open_again(session, study.study_uid, now=NOW)


def predecessor(report: pydicom.Dataset) -> str | None:
    for referenced in report.get("PredecessorDocumentsSequence", []):
        return str(
            referenced.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        )
    return None


def test_reading_again_gives_new_uids_and_names_the_old_report(
    steps: AnalysisSteps, study: Study
) -> None:
    run(steps, study.key)
    again = read_again(steps, study)
    run(steps, again.key)
    old, new = built(steps, study.key), built(steps, again.key)
    assert predecessor(old[Role.REPORT]) is None
    assert predecessor(new[Role.REPORT]) == old[Role.REPORT].SOPInstanceUID
    assert {d.SOPInstanceUID for d in old.values()}.isdisjoint(
        d.SOPInstanceUID for d in new.values()
    )


def test_a_changed_threshold_gives_new_uids_and_a_predecessor(
    steps: AnalysisSteps, study: Study, model: OnnxModel
) -> None:
    """Half the volume passes where twice the threshold is asked for."""
    run(steps, study.key)
    again = read_again(steps, study)
    stricter = replace(steps, models=OneModel(Stricter(model)))
    run(stricter, again.key)
    old, new = built(steps, study.key), built(steps, again.key)
    assert predecessor(new[Role.REPORT]) == old[Role.REPORT].SOPInstanceUID
    with steps.database.read() as session:
        before, after = (results.analysis_of(session, one.key) for one in (study, again))
        volumes = [
            sum(lesion.volume_ml for lesion in results.lesions_of(session, one.key))
            for one in (study, again)
        ]
    assert before is not None
    assert after is not None
    assert before.threshold_version != after.threshold_version
    assert volumes[1] < volumes[0]


class Stricter(OnnxModel):
    """The same networks with a higher pixel threshold."""

    def __init__(self, model: OnnxModel) -> None:
        self.__dict__.update(model.__dict__)
        thresholds = replace(
            model.description.thresholds,
            pixel=2 * model.description.thresholds.pixel,
            version="stricter",
        )
        self.description = replace(model.description, thresholds=thresholds)


def test_a_study_can_be_read_by_a_named_model(
    steps: AnalysisSteps, study: Study, model: OnnxModel
) -> None:
    models = OneModel(model)
    listening = replace(steps, models=models)
    run(listening, study.key)
    with steps.database.begin() as session:
        for state in (StudyState.DELIVERING, StudyState.DELIVERED):
            studies.advance(session, study.key, state, now=NOW)
        again = studies.open_again(session, study.study_uid, now=NOW, model_folder="/models/mine")
    run(listening, again.key)
    assert models.asked == [None, "/models/mine"]


def test_each_profile_is_built_once_and_a_new_one_is_added_on_retry(
    steps: AnalysisSteps, study: Study
) -> None:
    plain = Profile(heatmap=Slices.OFF)
    viewer = Profile(heatmap=Slices.OFF, segmentation=False, series_number_base=5000)
    two = replace(steps, profiles={"pacs": plain, "archive": plain})
    run(two, study.key)
    with steps.database.begin() as session:
        first = results.objects_of(session, study.key)
        studies.retry(session, study.key, now=NOW)
    assert [one.role for one in first] == [Role.REPORT, Role.SEGMENTATION]
    three = replace(two, profiles={"pacs": plain, "archive": plain, "web": viewer})
    run(three, study.key)
    with steps.database.read() as session:
        both = results.objects_of(session, study.key)
    assert both[:2] == first
    assert [(one.role, one.profile) for one in both[2:]] == [(Role.REPORT, viewer.digest)]


def test_a_model_that_cannot_be_loaded_still_ends_in_a_report(
    steps: AnalysisSteps, study: Study, model: OnnxModel
) -> None:
    run(steps, study.key)
    with steps.database.begin() as session:
        for state in (StudyState.DELIVERING, StudyState.DELIVERED):
            studies.advance(session, study.key, state, now=NOW)
        again = studies.open_again(session, study.study_uid, now=NOW, model_folder="/gone")
    broken = replace(steps, models=OneModel(model, gone=frozenset({"/gone"})))
    broken.assemble(again.key)
    with pytest.raises(ConfigurationError):
        broken.analyse(again.key)
    broken.give_up(again.key, "There is no model in /gone.")
    text = report_page.as_text(built(broken, again.key)[Role.REPORT])
    assert "NOT ANALYSED" in text
    assert "There is no model in /gone." in text


def test_a_model_on_trial_is_kept_beside_and_changes_nothing(
    steps: AnalysisSteps, study: Study, model: OnnxModel
) -> None:
    """Neither the verdict nor what goes out differs from what they would be without it."""
    run(steps, study.key)
    with steps.database.read() as session:
        before = results.analysis_of(session, study.key), results.objects_of(session, study.key)
    trying = replace(steps, models=OneModel(model, trial=Stricter(model)))
    trying.try_shadow(study.key)
    with steps.database.read() as session:
        said = results.analysis_of(session, study.key, shadow=True)
        found = results.lesions_of(session, study.key, shadow=True)
        after = results.analysis_of(session, study.key), results.objects_of(session, study.key)
        usual = results.lesions_of(session, study.key)
    assert before == after
    assert said is not None
    assert said.threshold_version == "stricter"
    assert sum(one.volume_ml for one in found) < sum(one.volume_ml for one in usual)


def test_without_a_model_on_trial_nothing_is_kept(steps: AnalysisSteps, study: Study) -> None:
    steps.try_shadow(study.key)
    with steps.database.read() as session:
        assert results.analysis_of(session, study.key, shadow=True) is None


def test_an_analysis_names_the_scanner(steps: AnalysisSteps, study: Study) -> None:
    run(steps, study.key)
    header = pydicom.dcmread(demo_study.IMAGES[0], stop_before_pixels=True)
    with steps.database.read() as session:
        analysis = results.analysis_of(session, study.key)
    assert analysis is not None
    assert analysis.scanner is not None
    assert analysis.scanner.startswith(str(header.Manufacturer))


def test_a_study_of_a_held_scanner_is_answered_with_a_report_that_says_so(
    steps: AnalysisSteps, study: Study
) -> None:
    asked: list[str | None] = []

    def hold(scanner: str | None, described: ModelDescription) -> str:
        asked.append(scanner)
        return "The scores of this scanner have drifted."

    run(replace(steps, hold=hold), study.key)
    objects = built(steps, study.key)
    assert set(objects) == {Role.REPORT}
    text = report_page.as_text(objects[Role.REPORT])
    assert "NOT ANALYSED" in text
    assert "The scores of this scanner have drifted." in text
    assert "Scores of the scanner have drifted" in text
    with steps.database.read() as session:
        analysis = results.analysis_of(session, study.key)
    assert analysis is not None
    assert analysis.reason_code == "DRIFTED_SCANNER"
    assert asked == [analysis.scanner]


def test_a_study_without_a_series_to_read_is_not_held(steps: AnalysisSteps, study: Study) -> None:
    picky = SeriesRules(include=("nothing",), timing_suffices=False)
    run(replace(steps, rules=picky, hold=lambda *_: "held"), study.key)
    with steps.database.read() as session:
        analysis = results.analysis_of(session, study.key)
    assert analysis is not None
    assert analysis.reason_code == "NO_SUITABLE_SERIES"


def test_a_study_is_read_once_for_all_its_steps(steps: AnalysisSteps, study: Study) -> None:
    """Without its files nothing but what was read before can have been used."""
    steps.assemble(study.key)
    steps.analyse(study.key)
    shutil.rmtree(steps.store.root / "images")
    steps.compose(study.key)
    assert set(built(steps, study.key)) == {Role.REPORT, Role.SEGMENTATION}


def test_what_was_read_before_serves_no_study_that_has_grown(
    steps: AnalysisSteps, study: Study, tmp_path: Path
) -> None:
    steps.assemble(study.key)
    late = pydicom.dcmread(demo_study.IMAGES[0])
    late.SOPInstanceUID = late.file_meta.MediaStorageSOPInstanceUID = UID(f"{study.study_uid}.9")
    late.save_as(tmp_path / "late.dcm")
    with steps.database.begin() as session:
        image = received(steps.store, tmp_path / "late.dcm")
        (grown,) = studies.record_instances(session, [image])
        studies.complete(session, grown, evidence="test", now=NOW)
    steps.assemble(grown)
    with steps.database.read() as session:
        counts = [
            [one.instance_count for one in studies.series_decisions(session, key)]
            for key in (study.key, grown)
        ]
    assert counts == [[20], [21]]


def test_what_another_worker_found_meanwhile_is_what_counts(
    steps: AnalysisSteps, study: Study
) -> None:
    steps.assemble(study.key)
    steps.analyse(study.key)
    with steps.database.read() as session:
        analysis = results.analysis_of(session, study.key)
    assert analysis is not None
    path = steps.store.result_path(study.key, FINDINGS_FILE)
    theirs = replace(archive.from_bytes(steps.store.read(path)), remarks=("Of another worker.",))
    steps.store.keep_result(study.key, FINDINGS_FILE, archive.to_bytes(theirs))
    steps.compose(study.key)
    assert "Of another worker." in report_page.render(built(steps, study.key)[Role.REPORT])


def test_a_study_with_a_damaged_file_is_read_again(steps: AnalysisSteps, study: Study) -> None:
    """The disk may be well again at the next try."""
    with steps.database.read() as session:
        image = steps.store.path_of(studies.instances_of(session, study.key)[0].path)
    content = image.read_bytes()
    image.write_bytes(content[:300])
    steps.assemble(study.key)
    image.write_bytes(content)
    run(steps, study.key)
    assert set(built(steps, study.key)) == {Role.REPORT, Role.SEGMENTATION}
