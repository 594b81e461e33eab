"""Syncs of a folder that threads share: none is answered by a sync that began before it asked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from running import wait_until
from storage import durable
from storage.durable import FolderSyncs


class Disk:
    """Takes the place of the sync, which lasts until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, error: OSError | None = None) -> None:
        self.begun: list[Path] = []
        self.go_on = threading.Event()
        self._error = error
        monkeypatch.setattr(durable, "sync_folder", self._sync)

    def _sync(self, folder: Path) -> None:
        self.begun.append(folder)
        assert self.go_on.wait(10)
        if self._error is not None and len(self.begun) > 1:
            raise self._error


@pytest.mark.parametrize("error", [None, OSError(5, "Input/output error")], ids=["works", "fails"])
def test_those_who_ask_during_a_sync_share_the_next_one_and_its_outcome(
    monkeypatch: pytest.MonkeyPatch, error: OSError | None
) -> None:
    disk, syncs, folder = Disk(monkeypatch, error=error), FolderSyncs(), Path("study")
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(syncs.sync, folder)
        wait_until(lambda: disk.begun == [folder], timeout_seconds=10, what="the first sync")
        others = [pool.submit(syncs.sync, folder) for _ in range(4)]
        wait_until(lambda: pool._work_queue.empty(), timeout_seconds=10, what="the others")
        assert not any(one.done() for one in others)
        disk.go_on.set()
        assert first.exception(10) is None
        assert [one.exception(10) for one in others] == [error] * 4
    assert 2 <= len(disk.begun) <= 5


def test_a_folder_can_be_synced_again_after_a_failure(tmp_path: Path) -> None:
    syncs = FolderSyncs()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            syncs.sync(tmp_path / "away")
    syncs.sync(tmp_path)
