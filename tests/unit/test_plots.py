"""The figures of a report are drawn, and the experts' outlines only where asked."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

import read
import scored
from model_training.evaluation import cohort_tables, cohorts, groups, readings, reliability
from model_training.evaluation.examine import MODEL
from model_training.evaluation.plots import lesions, montage, scores, style, training
from model_training.evaluation.plots.montage import View


def pixels_of(path: Path, colour: str) -> int:
    """How many pixels are near a colour."""
    with Image.open(path) as picture:
        values = np.asarray(picture.convert("RGB")).astype(int)
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return int((np.abs(values - wanted).sum(axis=2) < 30).sum())


def view() -> View:
    """A grey head, half marked by the model, a quarter by the expert."""
    image = np.zeros((60, 60), dtype=np.float32)
    image[10:50, 10:50] = 100.0
    marked, expert = image > 0, np.zeros((60, 60), dtype=np.bool_)
    marked[:, 30:] = False
    expert[20:40, 35:45] = True
    return View(
        caption="one",
        image=image,
        restoration=image / np.float32(250),
        anomaly_map=image / np.float32(100),
        marked=marked,
        expert=expert,
        top=1.0,
    )


def test_a_montage_that_is_passed_on_shows_no_expert_outline(tmp_path: Path) -> None:
    montage.montage([[view()]], tmp_path / "with.png", outlines=True)
    montage.montage([[view()]], tmp_path / "without.png", outlines=False)
    assert pixels_of(tmp_path / "with.png", style.SKY) > 20
    assert pixels_of(tmp_path / "without.png", style.SKY) == 0
    assert pixels_of(tmp_path / "without.png", style.ORANGE) > 20


def test_groups_of_different_length_stand_side_by_side(tmp_path: Path) -> None:
    montage.montage([[view()], [view(), view()]], tmp_path / "two.png", outlines=False)
    with Image.open(tmp_path / "two.png") as picture:
        assert picture.width > 2 * picture.height


def test_slices_are_cut_to_the_head() -> None:
    rows, columns = montage.around_head(view().image)
    assert (rows.start, rows.stop) == (columns.start, columns.stop)
    assert rows.start == 10 + 19 - 19 - montage.MARGIN_PIXELS


def test_losses_of_a_method_that_is_not_known_here_are_drawn_too(tmp_path: Path) -> None:
    table = tmp_path / "losses.csv"
    table.write_text("step,seconds,critic,error\n1,0.1,0.5,\n2,0.2,0.4,0.3\n3,0.3,0.3,\n")
    training.losses(table, tmp_path / "losses.png")
    assert pixels_of(tmp_path / "losses.png", style.BLUE) > 20


def test_charts_are_drawn_from_a_cohort(tmp_path: Path) -> None:
    read_by_row = groups.by_row([read.subject(n, f"patient_{n}") for n in range(3)])
    lines = cohorts.cohort("patients", read_by_row, read.FROZEN).lines
    sheets = {
        name: readings.sheet(name, read.FROZEN[name], part) for name, part in read_by_row.items()
    }
    coverage = [reliability.coverage("slices", [np.linspace(0.1, 1, 9)] * 3)]
    scores.distribution(sheets[MODEL], tmp_path / "scores.png")
    scores.roc(sheets, lines, tmp_path / "roc.png")
    scores.precision_recall(sheets, lines, tmp_path / "precision_recall.png")
    scores.coverage(coverage, tmp_path / "coverage.png")
    lesions.froc(lines, tmp_path / "froc.png")
    lesions.by_size(lines, tmp_path / "lesion_sizes.png")
    drawn = sorted(path.stem for path in tmp_path.glob("*.png"))
    assert drawn == ["coverage", "froc", "lesion_sizes", "precision_recall", "roc", "scores"]


@pytest.mark.parametrize("threshold", [0.5, 2.0, -1.0])
def test_bins_of_the_score_distribution_rise_wherever_the_threshold_lies(threshold: float) -> None:
    bins = scores.bins_around(threshold, scored.chance_sheet().patients[0].scores)
    assert (np.diff(bins) > 0).all()


def test_figures_are_drawn_without_a_window() -> None:
    style.prepare()
    assert mpl.get_backend().lower() == "agg"


def test_charts_and_report_of_patients_without_any_lesion_are_made(tmp_path: Path) -> None:
    read_by_row = groups.by_row([read.subject(n, f"p_{n}", lesion=False) for n in range(3)])
    cohort = cohorts.cohort("patients", read_by_row, read.FROZEN)
    sheets = {
        name: readings.sheet(name, read.FROZEN[name], part) for name, part in read_by_row.items()
    }
    scores.distribution(sheets[MODEL], tmp_path / "scores.png")
    scores.roc(sheets, cohort.lines, tmp_path / "roc.png")
    scores.precision_recall(sheets, cohort.lines, tmp_path / "precision_recall.png")
    lesions.froc(cohort.lines, tmp_path / "froc.png")
    lesions.by_size(cohort.lines, tmp_path / "lesion_sizes.png")
    assert len(list(tmp_path.glob("*.png"))) == 5
    assert "0 of them with lesion" in cohort_tables.section(cohort)
