"""The manual, walked as it is written: from a configuration to a model that is rolled back."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import walk
from orthanc import free_port

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / "deploy" / "docs" / "manual.md"
PATIENTS = 10  # the fewest that a retraining takes


def test_the_manual_leads_from_nothing_to_a_rollback(tmp_path: Path, shared_data: Path) -> None:
    for program in ("Orthanc", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    normals = tmp_path / "node" / "normals"
    normals.mkdir(parents=True)
    subjects = sorted(one for one in (shared_data / "tumour_free_flair").iterdir() if one.is_dir())
    for subject in subjects[:PATIENTS]:
        shutil.copytree(subject, normals / subject.name)
    for name in ("agent", "deploy"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "neurosieve").symlink_to(
        Path(sys.executable).parent / "neurosieve"
    )

    text = MANUAL.read_text("utf-8").replace("--steps 40", "--steps 2")
    for port in ("11112", "4242", "8042"):
        text = re.sub(rf"\b{port}\b", str(free_port()), text)
    environment = os.environ | {
        "NEUROSIEVE_STATUS__PORT": str(free_port()),
        "NEUROSIEVE_NODE__WATERMARK_PERCENT": "100",  # whatever else fills this disk
        "TCP_NODELAY": "1",
        "PYTHONPATH": str(ROOT),
    }
    with (tmp_path / "transcript").open("w", encoding="utf-8") as transcript:
        code = walk.walk(walk.script(walk.commands(text)), tmp_path, environment, transcript)
    said = (tmp_path / "transcript").read_text("utf-8")
    assert code == 0, said[-3000:]
    assert "Abnormal: 1 abnormal region" in said
    assert "from 10 studies" in said
    assert "reads every study from now on, for comparison only" in said
    assert "The same verdict in 1 of 1" in said
    assert "every seal holds" in said
    node = tmp_path / "node" / "node.log"
    assert "Traceback" not in node.read_text("utf-8")


def test_a_command_that_fails_ends_the_walk(tmp_path: Path) -> None:
    manual = "### Try\n\n```console\n$ true\n$ cat > a <<END\nb\nEND\n$ false\n$ touch never\n```\n"
    lines = list(walk.commands(manual))
    assert lines == ["true", "cat > a <<END\nb\nEND", "false", "touch never"]
    assert walk.walk(walk.script(lines), tmp_path, dict(os.environ)) == 1
    assert (tmp_path / "a").read_text("utf-8") == "b\n"
    assert not (tmp_path / "never").exists()


def test_the_walk_says_how_long_each_command_took(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", walk.script(["sleep 0.3"])], capture_output=True, text=True, cwd=tmp_path
    )
    assert re.fullmatch(r"\$ sleep 0\.3\n# 0\.\d s\n\n", done.stdout)
