"""`neurosieve analyse` on files that are more, or less, than DICOM images."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian
from typer.testing import CliRunner

import builders
import demo_study
from agent import examination
from agent.cli import app
from agent.dicom import elements, volumes
from agent.dicom.series import SeriesRules
from agent.dicom.volumes import UnreadablePixels

PAYLOAD = b"\x7fELF\x02\x01\x01 #!/bin/sh II*\x00 %PDF-1.7 MZ".ljust(128, b"\x90")


def written(series: Sequence[Dataset], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.dcm" for number in range(len(series))]
    for path, image in zip(paths, series, strict=True):
        image.save_as(path, enforce_file_format=True)
    return paths


@pytest.mark.slow
def test_results_carry_nothing_of_the_preambles_of_their_sources(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    for path in demo_study.IMAGES:
        (study / path.name).write_bytes(PAYLOAD + path.read_bytes()[128:])
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["analyse", str(study), "--out", str(out)])
    assert done.exit_code == 0, done.output
    objects = sorted((out / "dicom").glob("*.dcm"))
    assert len(objects) > 1
    assert all(file.read_bytes()[:132] == bytes(128) + b"DICM" for file in objects)
    files = [file for file in out.rglob("*") if file.is_file()]
    assert not [file for file in files if PAYLOAD[:40] in file.read_bytes()]


@pytest.mark.peer
def test_a_dicomdir_beside_the_images_is_passed_over(tmp_path: Path) -> None:
    series = builders.flair_series(slices=3, rows=16, columns=16)
    written(series, tmp_path / "disc")
    # DCMTK refuses file names with a dot, DICOM has none (PS3.10 8.2).
    for path in (tmp_path / "disc").iterdir():
        path.rename(path.with_name(f"IM{path.stem}"))
    made = subprocess.run(
        ["dcmmkdir", "+r", "-W", "-nb", "+D", "DICOMDIR", "+id", "."],
        cwd=tmp_path / "disc", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    paths = sorted(file for file in (tmp_path / "disc").rglob("*") if file.is_file())
    assert "DICOMDIR" in {path.name for path in paths}
    reading = examination.read(paths, SeriesRules())
    assert len(reading.headers) == len(series)
    assert reading.damaged == ()


def test_a_file_that_may_hold_a_slice_is_never_passed_over(tmp_path: Path) -> None:
    series = builders.flair_series(slices=4, rows=16, columns=16)
    paths = written(series, tmp_path)
    (tmp_path / "README.txt").write_text("of no interest")
    paths[-1].write_bytes(paths[-1].read_bytes()[:300])  # the last one: no gap shows
    reading = examination.read([*paths, tmp_path / "README.txt"], SeriesRules())
    assert [sentence for sentence in reading.damaged if "3.dcm" in sentence]
    assert len(reading.damaged) == 1


def test_a_deep_sequence_in_a_file_becomes_a_sentence(tmp_path: Path) -> None:
    series = builders.flair_series(slices=1, rows=16, columns=16)
    (path,) = written(series, tmp_path)
    content, at = path.read_bytes(), path.read_bytes().index(b"\x08\x00\x05\x00CS")
    opening = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 10_000
    path.write_bytes(content[:at] + opening + content[at:])
    with pytest.raises(UnreadablePixels, match=r"0\.dcm is damaged"):
        volumes.load([path])


def test_a_deflated_file_is_not_inflated_without_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    series = builders.flair_series(slices=1, rows=64, columns=64)
    series[0].file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    (path,) = written(series, tmp_path)
    assert volumes.load([path]).volume.voxels.shape == (1, 64, 64)
    monkeypatch.setattr(elements, "INFLATED_LIMIT_BYTES", 4000)
    with pytest.raises(UnreadablePixels, match="too large to be inflated"):
        volumes.load([path])
