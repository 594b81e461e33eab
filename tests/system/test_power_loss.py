"""The power is cut while a node receives: what was answered with Success is there afterwards.

A real file system on a disk of its own drops all that was not synced, the database's files too.
"""

import uuid
from pathlib import Path

import pytest

import power
from disks import power_disk
from storage.files import FileStore

pytestmark = pytest.mark.slow

CUTS = 4
WITHOUT_SYNC = {
    "files": "os.fsync = lambda descriptor: None",
    "folders": (
        "import stat\n"
        "sync = os.fsync\n"
        "def files_only(descriptor):\n"
        "    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):\n"
        "        sync(descriptor)\n"
        "os.fsync = files_only"
    ),
}


@pytest.mark.parametrize("seed", range(CUTS))
def test_every_acknowledged_image_survives_a_power_cut(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "node"
    with power_disk(folder / "data", tmp_path / "disk.img") as disk:
        acknowledged, gone = power.lost(folder, disk, seed=seed)
    assert acknowledged > 0
    assert gone == set()


@pytest.mark.parametrize("what", WITHOUT_SYNC)
def test_a_store_that_does_not_sync_is_caught(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards the test above: it must be able to fail. Seed 4 cuts right after a Success."""
    (tmp_path / "patch").mkdir()
    (tmp_path / "patch" / "sitecustomize.py").write_text(f"import os\n{WITHOUT_SYNC[what]}\n")
    repository = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'patch'}:{repository}")
    folder = tmp_path / "node"
    with power_disk(folder / "data", tmp_path / "disk.img") as disk:
        # Synced, because without its identity the node would not start again.
        FileStore(folder / "data", reserve_bytes=0).keep_identity(str(uuid.uuid4()))
        _, gone = power.lost(folder, disk, seed=4)
    assert gone
