"""`neurosieve models compare` over rows that two models left, and where there are none."""

import json
from pathlib import Path
from typing import Any

import pytest

import analysed_node
import marked_studies
from agent import model_toml
from agent.model_toml import ModelDescription
from command import done, run
from model_folders import changed
from storage.enums import Mark

SHIPPED, CANDIDATE = "flair-dae-gan@2.2.0", "flair-dae-gan@9.0.0"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return analysed_node.configured(tmp_path)


@pytest.fixture
def candidate(config: Path, tmp_path: Path) -> ModelDescription:
    """Another model that the node knows."""
    folder = changed(tmp_path / "candidate", version="9.0.0", residual="1.6")
    done(config, "models", "import", folder)
    return model_toml.describe(folder)


def compared(config: Path, *arguments: str) -> Any:
    return json.loads(done(config, "models", "compare", *arguments, "--json"))


def keep(config: Path, candidate: ModelDescription) -> None:
    """Three studies that both read, and one that the active model alone did."""
    marked_studies.keep(config, "healthy", 1.0, Mark.NORMAL, trial=candidate)
    marked_studies.keep(config, "tumour", 3.0, Mark.LESION, trial=candidate)
    marked_studies.keep(config, "unsaid", 1.5, None, trial=candidate)
    marked_studies.keep(config, "alone", 2.0, Mark.NORMAL)


def test_two_models_are_held_side_by_side(config: Path, candidate: ModelDescription) -> None:
    done(config, "models", "shadow", "9.0.0")
    keep(config, candidate)
    found = compared(config)
    assert (found["ours"], found["theirs"], found["studies"]) == (SHIPPED, CANDIDATE, 3)
    assert (found["agreeing"], found["kappa"]) == (3, 1.0)
    assert found["score_quantiles"]["ours"] == [1.0, 1.25, 1.5, 2.25, 3.0]
    assert found["score_quantiles"]["theirs"] == found["score_quantiles"]["ours"]
    marks = {(one["model"], one["marked"]): one["abnormal"] for one in found["against_marks"]}
    assert marks == {
        (SHIPPED, "lesion"): 1,
        (SHIPPED, "normal"): 0,
        (CANDIDATE, "lesion"): 1,
        (CANDIDATE, "normal"): 0,
    }
    text = done(config, "models", "compare")
    assert "studies read by both: 3" in text
    assert "The same verdict in 3 of 3" in text
    assert "1 of 1" in text


def test_a_model_that_was_on_trial_is_compared_by_its_name(
    config: Path, candidate: ModelDescription
) -> None:
    keep(config, candidate)
    assert compared(config, "9.0.0")["studies"] == 3
    assert compared(config, "9.0.0", "--limit", "2")["studies"] == 2
    done(config, "models", "activate", "9.0.0")
    turned = compared(config, "2.2.0")
    assert (turned["ours"], turned["theirs"], turned["studies"]) == (CANDIDATE, SHIPPED, 3)


@pytest.mark.usefixtures("candidate")
def test_without_studies_in_common_the_way_on_is_said(config: Path) -> None:
    said = done(config, "models", "compare", "9.0.0")
    assert said.count("\n") == 1
    assert f"`neurosieve models shadow {CANDIDATE}`" in said
    done(config, "models", "shadow", "9.0.0")
    said = done(config, "models", "compare")
    assert said.count("\n") == 1
    assert "is on trial and reads every study to come" in said
    assert "`neurosieve studies reprocess STUDY`" in said
    assert compared(config)["studies"] == 0


@pytest.mark.usefixtures("candidate")
def test_two_models_neither_of_which_is_active_need_one_that_is(
    config: Path, tmp_path: Path
) -> None:
    done(config, "models", "import", changed(tmp_path / "third", version="9.1.0", residual="1.7"))
    said = done(config, "models", "compare", "9.0.0", "--with", "9.1.0")
    assert f"`neurosieve models activate {CANDIDATE}`" in said
    assert "`neurosieve models shadow flair-dae-gan@9.1.0`" in said


def test_without_a_second_model_there_is_nothing_to_compare(config: Path) -> None:
    result = run(config, "models", "compare")
    assert result.exit_code == 1
    assert "neurosieve models shadow MODEL" in result.stderr
    same = run(config, "models", "compare", "2.2.0")
    assert same.exit_code == 1
    assert "the same model twice" in same.stderr
