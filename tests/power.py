"""One power cut while a node receives, and what is there when the power is back."""

import random
import threading
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset

import builders
from agent.dicom import part10
from disks import PowerDisk
from reception import association_to, store_dataset
from running import RunningNode, running
from storage import studies
from storage.database import open_database
from storage.files import FileStore

SUCCESS = 0x0000


def acknowledged_until_the_cut(
    node: RunningNode, disk: PowerDisk, images: Sequence[Dataset], chance: random.Random
) -> set[str]:
    """Send until the power goes, right after a Success or at any moment; what had a Success."""
    done: set[str] = set()
    last = chance.randrange(1, len(images))
    at_once = chance.random() < 0.5  # else while the next image is on its way
    with association_to(node.port) as association:
        for number, image in enumerate(images, start=1):
            cut = threading.Timer(chance.uniform(0.0, 0.02), disk.cut_power)
            if number == last + 1:
                cut.start()
            if store_dataset(association, image) == SUCCESS:
                done.add(str(image.SOPInstanceUID))
            if number == last and at_once:
                disk.cut_power()
                break
            if number == last + 1:
                cut.join()
                break
    return done


def present(node: RunningNode) -> set[str]:
    """The images that have a row and a file with the content that was sent."""
    database = open_database(node.url)
    store = FileStore(node.folder / "data", reserve_bytes=0)
    try:
        with database.read() as session:
            rows = [
                one
                for study in studies.list_studies(session)
                for one in studies.instances_of(session, study.key)
            ]
        return {one.sop_uid for one in rows if _digest(store, one.path) == one.content_sha256}
    finally:
        database.close()


def lost(folder: Path, disk: PowerDisk, *, seed: int, slices: int = 12) -> tuple[int, set[str]]:
    """How many images were acknowledged before the power went, and which of them are gone."""
    node = RunningNode(folder=folder, role="listen")
    images = builders.flair_series(slices=slices, study=f"cut {seed}")
    with running(node):
        done = acknowledged_until_the_cut(node, disk, images, random.Random(seed))
        node.kill()
    disk.restore()
    with running(node):
        assert node.stop() == 0
    return len(done), done - present(node)


def _digest(store: FileStore, path: str) -> str:
    try:
        kept = part10.parse(store.read(path))
    except Exception as error:  # noqa: BLE001 - missing, empty, cut off: all the same here
        return type(error).__name__
    return part10.content_sha256(kept.encoded, kept.transfer_syntax_uid)
