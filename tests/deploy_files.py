"""Where the deployment files are, and the programs that judge them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
DEPLOY = REPOSITORY / "deploy"


def program(name: str, package: str) -> str:
    """A program beside this Python or on the path, or a skip that says where it comes from."""
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    found = shutil.which(name, path=places)
    if found is None:
        pytest.skip(f"{name} is not installed ({package})")
    return found


def judged(*command: str | Path) -> str:
    """What a program prints, if it found nothing wrong."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def texts() -> dict[str, str]:
    """Every deployment file that is text, by its path."""
    kinds = {".yaml", ".toml", ".conf", ".service", ".json", ".lua", ".md", ".ldif", ".sh", ".tpl"}
    files = (path for path in sorted(DEPLOY.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(DEPLOY)): path.read_text(encoding="utf-8")
        for path in files
        if path.suffix in kinds or path.name.startswith("Containerfile")
    }
