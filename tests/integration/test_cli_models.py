"""Models and thresholds as an administrator changes them, and takes the changes back."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent import inference
from command import done, run
from model_folders import changed


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    data = (tmp_path / "data").as_posix()
    file.write_text(
        f'[node]\ndata_dir = "{data}"\nport = 0\nreserve_gb = 0.0\nwatermark_percent = 100.0\n',
        encoding="utf-8",
    )
    return file


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """The shipped model under another version."""
    return changed(tmp_path / "candidate", version="9.0.0")


def refused(config: Path, *arguments: str | Path) -> str:
    result = run(config, *arguments)
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1, "one sentence"
    return result.stderr


def listed(config: Path, *arguments: str) -> Any:
    return json.loads(done(config, *arguments, "--json"))


def uses(config: Path) -> dict[str, str]:
    return {one["model"]: one["use"] for one in listed(config, "models", "list")}


def test_the_shipped_model_is_active_from_the_start(config: Path) -> None:
    assert uses(config) == {"flair-dae-gan@2.2.0": "active"}


def test_a_model_is_brought_in_activated_and_taken_back(config: Path, candidate: Path) -> None:
    done(config, "models", "import", candidate)
    assert uses(config)["flair-dae-gan@9.0.0"] == ""
    shutil.rmtree(candidate)  # the node has its own copy
    done(config, "models", "activate", "9.0.0", "--why", "better")
    assert uses(config) == {"flair-dae-gan@2.2.0": "", "flair-dae-gan@9.0.0": "active"}
    done(config, "models", "rollback", "--why", "worse")
    assert uses(config) == {"flair-dae-gan@2.2.0": "active", "flair-dae-gan@9.0.0": ""}
    history = listed(config, "models", "history")
    assert [one["change"] for one in history] == ["ROLLED_BACK", "ACTIVATED", "ACTIVATED"]
    assert [one["why"] for one in history[:2]] == ["worse", "better"]


def test_a_rollback_takes_model_and_thresholds_back_together(config: Path, candidate: Path) -> None:
    done(config, "thresholds", "set", "0.05")
    ours = listed(config, "thresholds", "show")
    done(config, "models", "import", candidate)
    done(config, "models", "activate", "9.0.0")
    assert listed(config, "thresholds", "show")["version"] != ours["version"]
    done(config, "models", "rollback")
    assert listed(config, "thresholds", "show") == ours


def test_every_change_is_in_the_audit_and_its_seals_hold(config: Path, candidate: Path) -> None:
    done(config, "models", "import", candidate)
    done(config, "models", "shadow", "9.0.0")
    done(config, "models", "activate", "9.0.0")
    done(config, "thresholds", "set", "--slice-score", "2.5", "--why", "fewer alarms")
    done(config, "models", "shadow", "--off")
    done(config, "models", "rollback")
    actions = [one["action"] for one in listed(config, "audit", "list")]
    assert actions == [
        "rolled back",
        "trial ended",
        "thresholds set",
        "model activated",
        "trial began",
        "model imported",
    ]
    assert "6 events, every seal holds" in done(config, "audit", "verify")


def test_one_model_is_on_trial_beside_the_active_one(config: Path, candidate: Path) -> None:
    done(config, "models", "import", candidate)
    done(config, "models", "shadow", "9.0.0")
    assert uses(config) == {"flair-dae-gan@2.2.0": "active", "flair-dae-gan@9.0.0": "on trial"}


def test_an_exported_model_is_the_one_that_was_brought_in(
    config: Path, candidate: Path, tmp_path: Path
) -> None:
    done(config, "models", "import", candidate)
    done(config, "models", "export", "9.0.0", tmp_path / "out")
    for path in (one for one in candidate.rglob("*") if one.is_file()):
        copy = tmp_path / "out" / path.relative_to(candidate)
        assert copy.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("command", ["activate", "shadow"])
def test_a_model_whose_graph_was_changed_is_refused(
    config: Path, candidate: Path, command: str
) -> None:
    done(config, "models", "import", candidate)
    graph = config.parent / "data" / "models" / "flair-dae-gan" / "9.0.0" / inference.GRAPH_FILE
    graph.write_bytes(graph.read_bytes() + b"x")
    assert "sha256" in refused(config, "models", command, "9.0.0")
    assert uses(config)["flair-dae-gan@2.2.0"] == "active"


def test_a_rollback_to_a_damaged_model_changes_nothing(config: Path, candidate: Path) -> None:
    done(config, "models", "import", candidate)
    done(config, "models", "activate", "9.0.0")
    graph = config.parent / "data" / "models" / "flair-dae-gan" / "2.2.0" / inference.GRAPH_FILE
    graph.write_bytes(b"x")
    assert "sha256" in refused(config, "models", "rollback")
    assert uses(config)["flair-dae-gan@9.0.0"] == "active"


def test_a_folder_with_a_wrong_sha256_is_not_brought_in(config: Path, candidate: Path) -> None:
    (candidate / inference.GRAPH_FILE).write_bytes(b"another graph")
    assert "sha256" in refused(config, "models", "import", candidate)
    assert list(uses(config)) == ["flair-dae-gan@2.2.0"]


def test_a_model_for_another_sequence_is_refused(config: Path, tmp_path: Path) -> None:
    other = changed(tmp_path / "t1", version="9.0.0", sequence="T1")
    sentence = refused(config, "models", "import", other)
    assert "made for T1" in sentence
    assert "reads FLAIR" in sentence


@pytest.mark.parametrize("version", ["../9.0.0", "/tmp/9", "a b", "..", ""])
def test_a_version_that_is_no_name_of_a_folder_is_refused(
    config: Path, tmp_path: Path, version: str
) -> None:
    odd = changed(tmp_path / "odd", version=version)
    assert "cannot be kept" in refused(config, "models", "import", odd)


def test_the_same_version_never_comes_with_other_contents(
    config: Path, tmp_path: Path, candidate: Path
) -> None:
    done(config, "models", "import", candidate)
    done(config, "models", "import", candidate)  # repeating it is harmless
    other = changed(tmp_path / "other", version="9.0.0", residual="1.6")
    assert "new version" in refused(config, "models", "import", other)


def test_unknown_models_are_named_and_the_way_on_too(config: Path) -> None:
    assert "models list" in refused(config, "models", "activate", "7.7.7")
    assert "models list" in refused(config, "thresholds", "set", "0.05", "--model", "7.7.7")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("2",), "between 0 and 1"),
        (("0",), "between 0 and 1"),
        (("0.0001",), "too few"),
        (("0.05", "--slice-score", "2"), "not both"),
        (("--slice-score", "-1"), "above 0"),
        (("--slice-score", "nan"), "above 0"),
        (("--pixel", "4"), "below 4"),
        (("--minimum-volume-ml", "0"), "above 0"),
        ((), "Name a threshold"),
    ],
)
def test_thresholds_out_of_range_are_refused(
    config: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused(config, "thresholds", "set", *arguments)
    assert listed(config, "thresholds", "history") == []


def test_what_is_not_named_stays(config: Path) -> None:
    before = listed(config, "thresholds", "show")
    done(config, "thresholds", "set", "--pixel", "0.7")
    after = listed(config, "thresholds", "show")
    assert after["pixel"] == 0.7
    assert (after["slice"], after["minimum_volume_ml"]) == (
        before["slice"],
        before["minimum_volume_ml"],
    )


def test_a_calibration_needs_a_rate_and_enough_studies(config: Path, tmp_path: Path) -> None:
    normals = tmp_path / "normals"
    normals.mkdir()
    command = ("thresholds", "calibrate", "--from", normals)
    assert "no DICOM study" in refused(config, *command)
    rate = ("--false-positive-rate", "2")
    assert "share between 0 and 1" in refused(config, *command, *rate)
    studies = ("thresholds", "calibrate", "--from-studies", "marked=normal")
    assert "at least 19" in refused(config, *studies)
    assert "no condition" in refused(config, "thresholds", "calibrate", "--from-studies", "age=3")
