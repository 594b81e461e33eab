"""The report of an evaluation, from readings to Markdown and JSON."""

import json
from dataclasses import replace

import pytest

import read
from model_training.evaluation import cohorts, groups, readings, report, tumour_free, worst
from model_training.evaluation.cohorts import Cohort
from model_training.evaluation.examine import MODEL
from model_training.evaluation.report import Evaluation, Provenance

NAME = "Doe"


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Four patients and four tumour-free subjects of two groups."""
    patients = groups.by_row([read.subject(n, f"{NAME}_{n}") for n in range(4)])
    known_as = {f"{NAME}_{n}": f"patient {n + 1}" for n in range(4)}
    names = ("old_1", "old_2", "ms_1", "ms_2")
    healthy = groups.by_row(
        [read.subject(10 + n, name, lesion=False) for n, name in enumerate(names)]
    )
    return Evaluation(
        provenance=Provenance(
            command="neurosieve-train evaluate --run r --data d --model m",
            split="test",
            model="drawn",
            version="1",
            model_sha256="a" * 64,
            brain_sha256="d" * 64,
            runtime="none",
            code_version="0",
            training_data_sha256="b" * 64,
            evaluated_data_sha256="c" * 64,
            operating_point="chosen by hand",
            minimum_volume_ml=0.1,
            thresholds=read.FROZEN,
        ),
        cohorts=(cohorts.cohort("patients test", patients, read.FROZEN),),
        tumour_free=tumour_free.marked(healthy),
        coverage=(
            tumour_free.patient_coverage("patients", patients, calibrating=False),
            *tumour_free.coverages(healthy),
        ),
        worst=tuple(
            worst.slices(readings.sheet(MODEL, read.FROZEN[MODEL], patients[MODEL]), known_as)
        ),
    )


def cohort(evaluation: Evaluation) -> Cohort:
    return evaluation.cohorts[0]


def tables(text: str) -> list[list[str]]:
    """The lines of each Markdown table."""
    blocks = [part.splitlines() for part in text.split("\n\n")]
    return [block for block in blocks if len(block) > 2 and block[1].startswith("|--")]


def test_a_way_of_scoring_without_a_map_has_slice_figures_and_no_others(
    evaluation: Evaluation,
) -> None:
    lines = {line.name: line for line in cohort(evaluation).lines}
    assert "auroc" in lines[read.POSITION].figures
    assert "dice_pooled" not in lines[read.POSITION].figures
    assert lines[read.POSITION].froc is None
    assert "dice_pooled" in lines[MODEL].figures


def test_the_better_map_is_better_in_every_figure_that_is_paired(evaluation: Evaluation) -> None:
    lines = {line.name: line for line in cohort(evaluation).lines}
    assert lines[MODEL].model_less_this == ()
    known = {one.figure: one.difference for one in lines[read.THRESHOLD].model_less_this}
    assert known["pixel_average_precision"].low > 0
    assert known["dice_pooled"].low > 0


def test_every_table_of_figures_has_a_majority_or_trivial_line(evaluation: Evaluation) -> None:
    text = report.text(evaluation, {})
    figures = [block for block in tables(text) if ".5" in "".join(block) or "[" in "".join(block)]
    bare = [
        block[0]
        for block in figures
        if not any(word in line for line in block for word in ("majority", "what", read.POSITION))
        and "place" not in block[0]
    ]
    assert len(figures) >= 10
    assert bare == []


def test_the_report_names_its_command_its_digests_and_how_thresholds_were_chosen(
    evaluation: Evaluation,
) -> None:
    text = report.text(evaluation, {"figures/roc.png": "ROC."})
    for wanted in ("evaluate --run r", "a" * 64, "b" * 64, "c" * 64, "chosen by hand"):
        assert wanted in text
    assert "![ROC.](figures/roc.png)" in text


def test_neither_report_nor_json_shows_the_name_of_a_subject(evaluation: Evaluation) -> None:
    text, values = report.text(evaluation, {}), report.to_json(evaluation)
    assert "patient 1" in text
    assert '"patient 1"' in values
    assert NAME not in text + values


def test_figures_of_the_calibration_split_are_called_what_they_are(evaluation: Evaluation) -> None:
    developing = replace(evaluation, provenance=replace(evaluation.provenance, split="calibration"))
    assert "For development only" in report.text(developing, {})
    assert "For development only" not in report.text(evaluation, {})


def test_tumour_free_subjects_are_counted_by_group(evaluation: Evaluation) -> None:
    groups_of_model = evaluation.tumour_free[MODEL]
    assert [(one.name, one.studies) for one in groups_of_model] == [
        ("ms", 2),
        ("old", 2),
        ("all", 4),
    ]
    assert read.POSITION not in evaluation.tumour_free


def test_the_json_is_read_by_strict_readers(evaluation: Evaluation) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    values = json.loads(report.to_json(evaluation), parse_constant=refuse)
    figures = values["cohorts"][0]["lines"][0]["figures"]
    assert 0 <= figures["auroc"]["low"] <= figures["auroc"]["value"]
    assert values["provenance"]["model_sha256"] == "a" * 64
