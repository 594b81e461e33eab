"""The node reports nothing to the makers of what it is built on."""

import os
import subprocess
import sys
from pathlib import Path

import deploy_files

LOAD = "from agent import inference; print(inference.load(inference.default_folder()).runtime)"


def test_onnx_runtime_makes_no_identifier_and_no_list_of_events(tmp_path: Path) -> None:
    """Its published wheels keep both in the home folder and send them, where nothing forbids it."""
    environment = {key: text for key, text in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", LOAD],
        check=True,
        capture_output=True,
        cwd=deploy_files.REPOSITORY,
        env=environment | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        timeout=120,
    )
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name] == []
