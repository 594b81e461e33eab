"""The command as an administrator uses it: exit codes, JSON, sentences."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from typer.testing import CliRunner, Result

import demo_study
from agent import readers
from agent.cli import app
from agent.demo.pacs import SimulatedPacs
from agent.dicom import volumes
from agent.imaging.volume import Volume
from received import images
from sources import OddSource, running_source
from storage import studies
from storage.database import open_database
from storage.enums import Priority, StudyState
from storage.files import BYTES_PER_GB
from storage.records import Instance, SeriesUid, SopUid, StudyUid

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@contextmanager
def configured(folder: Path, *lines: str) -> Iterator[Path]:
    """A configuration with its own data folder and a free port."""
    file = folder / "agent.toml"
    data = (folder / "data").as_posix()
    file.write_text(
        "\n".join(
            [
                "[node]",
                f'data_dir = "{data}"',
                "port = 0",
                "reserve_gb = 0.0",
                "watermark_percent = 100.0",
                *lines,
            ]
        ),
        encoding="utf-8",
    )
    yield file


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run_json(*arguments: str | Path) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    with configured(tmp_path) as file:
        yield file


@pytest.fixture
def known_study(config: Path) -> str:
    """A study that is complete and waits for its analysis."""
    assert run("studies", "list", "-c", config).exit_code == 0  # makes the database
    database = open_database(f"sqlite:///{config.parent / 'data' / 'neurosieve.db'}")
    image = Instance(
        study_uid=StudyUid("1.2.3.4"),
        series_uid=SeriesUid("1.2.3.4.5"),
        sop_uid=SopUid("1.2.3.4.5.6"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        source_ae="PACS",
        priority=Priority.ROUTINE,
        path="images/a/b.dcm",
        content_sha256="0" * 64,
        received_at=NOW,
    )
    with database.begin() as session:
        (key,) = studies.record_instances(session, [image])
        studies.complete(session, key, evidence="test", now=NOW)
    database.close()
    return "1.2.3.4"


def test_studies_are_listed_as_json(config: Path, known_study: str) -> None:
    (row,) = run_json("studies", "list", "-c", config)
    assert (row["study"], row["state"]) == (f"{known_study}#1", "COMPLETE")
    assert run_json("studies", "list", "-c", config, "--state", "FAILED") == []


def test_the_last_study_of_a_page_names_the_next_page(config: Path, known_study: str) -> None:
    database = open_database(f"sqlite:///{config.parent / 'data' / 'neurosieve.db'}")
    with database.begin() as session:
        studies.record_instances(session, images(1, study="1.2.3.5"))
    database.close()
    (first,) = run_json("studies", "list", "-c", config, "--limit", "1")
    (second,) = run_json("studies", "list", "-c", config, "--before", first["study"])
    assert {first["study"], second["study"]} == {f"{known_study}#1", "1.2.3.5#1"}
    assert run_json("studies", "list", "-c", config, "--after", second["study"]) == [first]
    told = run("studies", "list", "-c", config, "--limit", "1").stdout
    assert f"--before {first['study']}" in told


def test_a_page_has_one_end(config: Path, known_study: str) -> None:
    uid = known_study
    assert run("studies", "list", "-c", config, "--before", uid, "--after", uid).exit_code == 2


def test_a_listing_loads_neither_dicom_nor_models_nor_the_engine(config: Path) -> None:
    program = (
        "import sys; from agent.cli import app; "
        f"app(['studies', 'list', '--config', {str(config)!r}], standalone_mode=False); "
        "print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'pydicom', 'pynetdicom', 'highdicom', 'dbos', 'scipy', 'numpy', 'onnxruntime', "
        "'alembic'}))"
    )
    run("studies", "list", "-c", config)  # makes the database, for which Alembic is needed
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_state_is_wrong_usage(config: Path) -> None:
    assert run("studies", "list", "-c", config, "--state", "LOST").exit_code == 2


def test_a_study_is_found_by_the_end_of_its_uid(config: Path, known_study: str) -> None:
    whole = run_json("studies", "show", "3.4", "-c", config)
    assert whole["study"]["study_uid"] == known_study
    assert whole["analysis"] is None


def test_an_unknown_study_is_one_sentence_and_exit_code_1(config: Path, known_study: str) -> None:
    result = run("studies", "show", "9.9", "-c", config)
    assert result.exit_code == 1
    assert "No study" in result.output
    assert "Traceback" not in result.output


def test_a_cancelled_study_can_be_queued_again(config: Path, known_study: str) -> None:
    assert run("studies", "cancel", known_study, "-c", config).exit_code == 0
    assert run_json("studies", "show", known_study, "-c", config)["study"]["state"] == "CANCELLED"
    assert run("studies", "retry", known_study, "-c", config).exit_code == 0
    again = run_json("studies", "show", known_study, "-c", config)["study"]
    assert (again["state"], again["attempt"]) == (StudyState.COMPLETE, 2)


def test_a_study_is_read_again_only_after_it_has_ended(config: Path, known_study: str) -> None:
    early = run("studies", "reprocess", known_study, "-c", config)
    assert early.exit_code == 1
    assert "wait until it has ended" in early.output
    run("studies", "cancel", known_study, "-c", config)
    assert run("studies", "reprocess", known_study, "-c", config).exit_code == 0
    again = run_json("studies", "show", known_study, "-c", config)["study"]
    assert (again["revision"], again["state"]) == (2, "COMPLETE")


def test_a_folder_that_holds_no_model_reads_nothing(
    config: Path, known_study: str, tmp_path: Path
) -> None:
    run("studies", "cancel", known_study, "-c", config)
    result = run("studies", "reprocess", known_study, "-c", config, "--model", tmp_path)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert run_json("studies", "show", known_study, "-c", config)["study"]["revision"] == 1


def test_a_study_without_a_report_is_one_sentence(config: Path, known_study: str) -> None:
    result = run("studies", "report", known_study, "-c", config)
    assert result.exit_code == 1
    assert "has no report yet" in result.output


def test_the_shipped_model_is_listed(config: Path) -> None:
    (model,) = run_json("models", "list", "-c", config)
    assert model["sequence"] == "FLAIR"
    assert model["use"] == "active"


def test_the_doctor_is_content_with_a_working_destination(tmp_path: Path) -> None:
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        lines = ["[[destinations]]", 'name = "pacs"', 'ae_title = "PACS"', f"port = {pacs.port}"]
        with configured(tmp_path, *lines) as config:
            rows = run_json("doctor", "-c", config)
    assert {row["result"] for row in rows} == {"ok"}
    assert "destination pacs" in {row["check"] for row in rows}


def test_the_doctor_fails_when_a_destination_is_away(tmp_path: Path) -> None:
    lines = ["[[destinations]]", 'name = "pacs"', 'ae_title = "PACS"', "port = 1"]
    with configured(tmp_path, *lines) as config:
        result = run("doctor", "-c", config, "--json")
    assert result.exit_code == 1
    failed = [row["check"] for row in json.loads(result.stdout) if row["result"] == "failed"]
    assert failed == ["destination pacs"]


def test_the_doctor_warns_of_a_source_that_cannot_be_asked(tmp_path: Path) -> None:
    """Its studies are read all the same, only later."""
    peer = '[[peers]]\nae_title = "PACS"\nask = "find"\nport = {}\n'
    with (
        running_source(OddSource()) as source,
        configured(tmp_path, peer.format(source.port)) as config,
    ):
        rows = run_json("doctor", "-c", config)
    assert {"check": "peer PACS", "result": "ok", "detail": "says what it holds"} in rows
    with configured(tmp_path, peer.format(source.port)) as config:
        result = run("doctor", "-c", config, "--json")
    assert result.exit_code == 0
    (row,) = [one for one in json.loads(result.stdout) if one["check"] == "peer PACS"]
    assert row["result"] == "warning"


def test_the_doctor_only_warns_of_what_needs_no_hurry(tmp_path: Path) -> None:
    """A disk that is getting full refuses nothing yet."""
    with configured(tmp_path) as config:
        free_gb = shutil.disk_usage(tmp_path).free / BYTES_PER_GB
        config.write_text(
            config.read_text().replace("reserve_gb = 0.0", f"reserve_gb = {free_gb / 1.5}")
        )
        result = run("doctor", "-c", config, "--json")
    assert result.exit_code == 0, result.output
    (alarms,) = (row for row in json.loads(result.stdout) if row["check"] == "alarms")
    assert (alarms["result"], "getting full" in alarms["detail"]) == ("warning", True)


def test_the_doctor_fails_while_studies_wait_and_no_worker_runs(
    config: Path, known_study: str
) -> None:
    result = run("doctor", "-c", config, "--json")
    assert result.exit_code == 1
    (alarms,) = (row for row in json.loads(result.stdout) if row["check"] == "alarms")
    assert (alarms["result"], "no worker runs" in alarms["detail"]) == ("failed", True)


def test_the_list_of_studies_says_why_one_was_cancelled_where_the_terminal_is_narrow(
    config: Path, known_study: str
) -> None:
    run("studies", "cancel", known_study, "-c", config, "--why", "it was sent twice by the archive")
    listed = run("studies", "list", "-c", config)
    assert f"…{known_study} revision 1: it was sent twice by the archive" in listed.output


def test_a_wrong_configuration_is_one_sentence(tmp_path: Path) -> None:
    with configured(tmp_path, "[nod]") as config:
        result = run("doctor", "-c", config)
    assert result.exit_code == 1
    assert "nod" in result.output


@pytest.mark.parametrize("name", ["a[/b]", "[red]x"])
def test_brackets_in_a_path_are_shown_as_they_stand(tmp_path: Path, name: str) -> None:
    """rich would take them for its own markup, and fail or swallow them."""
    result = run("doctor", "-c", tmp_path / name)
    assert result.exit_code == 1
    assert name in result.output.replace("\n", "")


def slices_in(out: Path) -> list[dict[str, str]]:
    with (out / "slices.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def demo_volume() -> Volume:
    return volumes.load(demo_study.IMAGES).volume


def test_a_dicom_folder_gives_tables_maps_overlays_and_objects(
    tmp_path: Path, config: Path, demo_volume: Volume
) -> None:
    out = tmp_path / "out"
    assert run("analyse", demo_study.FOLDER, "--out", out, "-c", config).exit_code == 0
    rows = slices_in(out)
    assert [row["sop_instance_uid"] for row in rows] == list(demo_volume.sources)
    assert [int(row["index"]) for row in rows] == list(range(len(rows)))
    assert json.loads((out / "study.json").read_text())["outcome"] == "ABNORMAL"
    mask, anomaly = (readers.read_nifti(out / f"{name}.nii.gz") for name in ("mask", "anomaly"))
    assert mask.voxels.shape == anomaly.voxels.shape == demo_volume.voxels.shape
    assert np.allclose(mask.affine, demo_volume.affine)
    assert mask.voxels.max() >= 1
    assert len(list((out / "overlay").glob("*.png"))) == len(rows)
    kinds = {file.stem.split("-")[1] for file in (out / "dicom").glob("*.dcm")}
    assert kinds == {"report", "segmentation", "heatmap"}
    sent = [dcmread(file) for file in sorted((out / "dicom").glob("*-heatmap.dcm"))]
    for picture, file in zip(sent, sorted((out / "overlay").glob("*.png")), strict=True):
        np.testing.assert_array_equal(picture.pixel_array, np.asarray(Image.open(file)))


def test_a_nifti_volume_gives_maps_on_its_own_grid(
    tmp_path: Path, config: Path, demo_volume: Volume
) -> None:
    source = tmp_path / "FLAIR.nii.gz"
    readers.write_nifti(source, demo_volume.voxels, demo_volume)
    out = tmp_path / "out"
    assert run("analyse", source, "--out", out, "-c", config).exit_code == 0
    original, mask = readers.read_nifti(source), readers.read_nifti(out / "mask.nii.gz")
    assert mask.voxels.shape == original.voxels.shape
    assert np.allclose(mask.affine, original.affine)
    assert len(slices_in(out)) == len(demo_volume.voxels)
    assert not (out / "dicom").exists()


def test_the_same_voxels_get_the_same_scores_from_dicom_and_from_nifti(
    tmp_path: Path, config: Path, demo_volume: Volume
) -> None:
    source = tmp_path / "FLAIR.nii.gz"
    readers.write_nifti(source, demo_volume.voxels, demo_volume)
    scores = []
    for number, path in enumerate((source, demo_study.FOLDER)):
        out = tmp_path / f"out{number}"
        run("analyse", path, "--out", out, "-c", config)
        scores.append([row["score"] for row in slices_in(out)])
    assert scores[0] == scores[1]


def test_a_folder_of_pictures_gives_a_row_a_file(
    tmp_path: Path, config: Path, demo_volume: Volume
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    peak = demo_volume.voxels.max()
    for index, image in enumerate(demo_volume.voxels):
        Image.fromarray((image / peak * 255).astype(np.uint8)).save(pictures / f"s{index}.png")
    out = tmp_path / "out"
    assert run("analyse", pictures, "--out", out, "-c", config).exit_code == 0
    assert [row["file"] for row in slices_in(out)] == [
        f"s{index}.png" for index in range(len(demo_volume.voxels))
    ]
    assert "nominal" in json.loads((out / "study.json").read_text())["note"]


def test_what_is_no_image_is_one_sentence(tmp_path: Path, config: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes.txt").write_text("no image")
    result = run("analyse", folder, "--out", tmp_path / "out", "-c", config)
    assert result.exit_code == 1
    assert "DICOM" in result.output
    assert "Traceback" not in result.output


def test_a_damaged_model_is_refused(tmp_path: Path, config: Path) -> None:
    (tmp_path / "model").mkdir()
    result = run(
        "analyse",
        demo_study.FOLDER,
        "--out",
        tmp_path / "out",
        "--model",
        tmp_path / "model",
        "-c",
        config,
    )
    assert result.exit_code == 1
    assert "model.toml" in result.output


@pytest.mark.parametrize("command", [(), ("studies",), ("models",)])
def test_help_names_the_commands(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Commands" in result.output
