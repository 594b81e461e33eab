"""What a study came to: marked, explained and replayed, as an administrator asks for it."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner, Result

import analysed_node
from agent import bootstrap, settings
from agent.cli import app
from storage import activations, registry, results, studies, tables, thresholds
from storage.enums import Outcome, StudyState
from storage.model_records import ThresholdSet
from storage.records import StudyKey


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyKey]:
    folder = tmp_path_factory.mktemp("analysed")
    return folder, analysed_node.analysed(analysed_node.configured(folder))


@pytest.fixture
def key(template: tuple[Path, StudyKey]) -> StudyKey:
    return template[1]


@pytest.fixture
def config(tmp_path: Path, template: tuple[Path, StudyKey]) -> Path:
    return analysed_node.copied(template[0], tmp_path)


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["studies", *arguments, "-c", str(config)])


def done(config: Path, *arguments: str) -> str:
    result = run(config, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def listed(config: Path, *arguments: str) -> Any:
    return json.loads(done(config, *arguments, "--json"))


def test_the_newest_mark_counts_and_finds_the_study(config: Path, key: StudyKey) -> None:
    assert listed(config, "list", "--marked", "lesion") == []
    done(config, "mark", key, "normal", "--note", "first look")
    done(config, "mark", "2.25.2156", "lesion")
    (row,) = listed(config, "list", "--marked", "lesion")
    assert (row["study"], row["mark"]) == (key, "lesion")
    assert listed(config, "list", "--marked", "normal") == []
    marks = listed(config, "show", key)["marks"]
    assert [(one["mark"], one["note"]) for one in marks] == [
        ("lesion", ""),
        ("normal", "first look"),
    ]


def test_a_mark_is_in_the_audit(config: Path, key: StudyKey) -> None:
    done(config, "mark", key, "false-positive", "--note", "vessel")
    result = CliRunner().invoke(app, ["audit", "list", "--json", "-c", str(config)])
    (event,) = json.loads(result.stdout)
    assert (event["action"], event["subject"], event["detail"]) == (
        "study marked false-positive",
        key,
        "vessel",
    )


@pytest.mark.parametrize("arguments", [("mark", "2.25.2156", "odd"), ("list", "--marked", "odd")])
def test_an_unknown_mark_is_wrong_usage(config: Path, arguments: tuple[str, ...]) -> None:
    assert run(config, *arguments).exit_code == 2


def test_a_result_is_explained_in_sentences(config: Path, key: StudyKey) -> None:
    done(config, "mark", key, "lesion", "--note", "seen")
    text = done(config, "explain", key)
    for part in (
        "The study counted as complete: No image came for 10 s.",
        "was read:",
        "They are the model's own",
        "reach the slice threshold 1.955",
        "Region 1:",
        "is needed (thickness",
        "Nothing was sent: no destination was planned.",
        "lesion by",
        "Scores of the slices",
    ):
        assert part in text


def test_the_explanation_holds_every_number_it_speaks_of(config: Path, key: StudyKey) -> None:
    whole = listed(config, "explain", key)
    scores = [row["score"] for row in whole["slices"]]
    assert max(scores) == whole["analysis"]["study_score"]
    assert f"Slice {scores.index(max(scores)) + 1} of {len(scores)} decided" in str(whole)
    assert all(row["reached"] == (row["score"] >= row["threshold"]) for row in whole["slices"])
    rule = whole["pattern_rule"]
    for lesion in whole["lesions"]:
        total = sum(lesion["mass_terms"].values())
        assert 1 / (1 + 2.718281828459045**-total) == pytest.approx(lesion["mass_score"])
        assert lesion["mass_like"] == (lesion["mass_score"] >= rule["threshold"])


def test_an_explanation_names_who_calibrated_the_thresholds(config: Path, key: StudyKey) -> None:
    values = settings.load(config)
    storage = bootstrap.open_storage(values)
    with closing(storage.database), storage.database.begin() as session:
        current = activations.in_force(session)
        assert current is not None
        registry.get(session, current.model_name, current.model_version)
        made = ThresholdSet(
            model_name=current.model_name,
            model_version=current.model_version,
            version="site",
            pixel=0.5,
            slice=2.5,
            minimum_volume_ml=0.5,
            operating_point="5 % of tumour-free slices",
            study_count=40,
            false_positive_rate=0.05,
            rate_low=0.01,
            rate_high=0.12,
            made_at=analysed_node.NOW,
            made_by="ada",
            why="our own scanner",
        )
        thresholds.add(session, made)
    analysed_node.change_analysis(config, key, threshold_version="site")
    text = done(config, "explain", key)
    assert "Number 1, made by ada on 2026-01-02, calibrated with 40 tumour-free studies" in text
    assert "0.05 [0.010, 0.120] may pass: our own scanner." in text


def test_a_study_that_was_not_analysed_is_explained_by_its_reason(
    config: Path, key: StudyKey
) -> None:
    analysed_node.change_analysis(
        config,
        key,
        outcome=Outcome.NOT_ANALYSED,
        reason_code="DRIFTED_SCANNER",
        reason="The scanner has drifted.",
        study_score=None,
        slice_scores=(),
        slice_p_values=(),
    )
    assert "Not analysed (DRIFTED_SCANNER): The scanner has drifted." in done(
        config, "explain", key
    )
    refused = run(config, "replay", key)
    assert refused.exit_code == 1
    assert "No model has read" in refused.output


def test_what_a_trial_said_stands_beside(config: Path, key: StudyKey) -> None:
    values = settings.load(config)
    storage = bootstrap.open_storage(values)
    with closing(storage.database), storage.database.begin() as session:
        said = results.analysis_of(session, key)
        assert said is not None
        results.save_analysis(session, key, said, [], shadow=True)
    assert "never sent: ABNORMAL, 0 regions" in done(config, "explain", key)


def test_a_study_is_the_same_when_it_is_read_again(config: Path, key: StudyKey) -> None:
    before = everything(config)
    answer = listed(config, "replay", key)
    assert answer["same"]
    assert (answer["differences"], answer["tolerance"]) == ([], None)
    assert "the same to the last bit" in done(config, "replay", key)
    assert everything(config) == before


def everything(config: Path) -> dict[Path, bytes]:
    """Every file of the data folder but what the database writes when it is opened."""
    return {
        path: path.read_bytes()
        for path in sorted((config.parent / "data").rglob("*"))
        if path.is_file() and ".db" not in path.name
    }


def test_one_bit_in_a_score_is_found_and_the_slice_named(config: Path, key: StudyKey) -> None:
    whole = listed(config, "explain", key)
    scores = whole["analysis"]["slice_scores"]
    scores[3] = scores[3] * (1 + 2**-52) or 5e-324
    analysed_node.change_analysis(config, key, slice_scores=tuple(scores))
    result = run(config, "replay", key)
    assert result.exit_code == 1
    assert "slice scores:" in result.stdout
    assert "(slice 4, the first of 1 that differ)" in result.stdout


def test_kept_maps_that_changed_are_found(config: Path, key: StudyKey) -> None:
    (kept,) = (config.parent / "data").rglob("findings.npz")
    content = bytearray(kept.read_bytes())
    content[-30] ^= 1
    kept.write_bytes(content)
    result = run(config, "replay", key)
    assert result.exit_code == 1
    assert "findings.npz, the kept maps" in result.stdout


@pytest.mark.parametrize("harm", ["change", "remove"])
def test_a_stored_image_that_changed_is_named_before_anything_is_read(
    config: Path, key: StudyKey, harm: str
) -> None:
    image = next((config.parent / "data" / "images").rglob("*.dcm"))
    content = bytearray(image.read_bytes())
    content[-100] ^= 1
    image.unlink() if harm == "remove" else image.write_bytes(content)
    result = run(config, "replay", key)
    assert result.exit_code == 1
    assert "what was stored has changed" in result.stdout
    assert f"stored image images/{image.parent.name}/{image.name}" in result.stdout


def test_what_a_gpu_read_is_compared_within_a_tolerance(config: Path, key: StudyKey) -> None:
    scores = listed(config, "explain", key)["analysis"]["slice_scores"]
    gpu = "onnxruntime 1.28 CUDAExecutionProvider"
    near = tuple(1.01 * score for score in scores)
    analysed_node.change_analysis(config, key, runtime=gpu, slice_scores=near)
    assert "scores within 5% of those of the GPU" in done(config, "replay", key)
    far = tuple(1.5 * score for score in scores)
    analysed_node.change_analysis(config, key, slice_scores=far)
    assert run(config, "replay", key).exit_code == 1


def test_thresholds_that_are_not_here_any_more_are_one_sentence(
    config: Path, key: StudyKey
) -> None:
    analysed_node.change_analysis(config, key, threshold_version="lost")
    result = run(config, "replay", key)
    assert result.exit_code == 1
    assert "The thresholds lost" in result.output
    assert "Model or thresholds lost are not kept here any more" in done(config, "explain", key)


def test_a_study_that_was_not_read_yet_has_nothing_to_replay(config: Path, key: StudyKey) -> None:
    storage = bootstrap.open_storage(settings.load(config))
    with closing(storage.database), storage.database.begin() as session:
        uid = studies.get(session, key).study_uid
        for state in (StudyState.DELIVERING, StudyState.DELIVERED):
            studies.advance(session, key, state, now=analysed_node.NOW)
        studies.open_again(session, uid, now=analysed_node.NOW)
    result = run(config, "replay", "2.25.2156")
    assert result.exit_code == 1
    assert "was not analysed yet" in result.output
    assert "There is no result yet." in done(config, "explain", "2.25.2156")


def test_what_retention_removed_is_said_and_not_replayed(config: Path, key: StudyKey) -> None:
    database = bootstrap.open_storage(settings.load(config)).database
    with closing(database), database.begin() as session:
        for table in (tables.instance, tables.result_object):
            session.execute(update(table).values(removed_at=analysed_node.NOW))
    told = " ".join(done(config, "explain", key).split())
    assert "Its images were removed by retention on 2026-01-02." in told
    assert "Retention removed what is kept here of them on 2026-01-02." in told
    refused = run(config, "replay", key)
    assert refused.exit_code == 1
    assert "removed by retention on 2026-01-02" in " ".join(refused.stderr.split())
