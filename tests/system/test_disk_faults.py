"""The disk is full or read-only, the database locked: nothing acknowledged is lost, all goes on."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

import builders
import demo_study
from agent.demo.pacs import SimulatedPacs
from disks import filled, read_only, small_disk
from reception import ReceivingNode, association_to, receiving_node, store_dataset
from running import RunningNode, running
from storage.enums import StudyState

SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
IMAGE_BYTES = 2_000_000


def large_images(count: int, study: str) -> list[Dataset]:
    """Images of two megabytes."""
    images = builders.flair_series(slices=count, study=study)
    for image in images:
        image.Rows = image.Columns = 1000
        image.PixelData = np.zeros((1000, 1000), np.uint16).tobytes()
    return images


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ReceivingNode]:
    """A receiving node whose files lie on a disk of 32 MB; its database is elsewhere."""
    with small_disk(tmp_path / "files", 32), receiving_node(tmp_path) as running_node:
        yield running_node


def sent(node: ReceivingNode, images: Sequence[Dataset]) -> list[int | None]:
    with association_to(node.listener.port) as association:
        return [store_dataset(association, image) for image in images]


def left_over(node: ReceivingNode) -> list[Path]:
    return [path for path in node.store.root.rglob("*.part")]


def test_images_are_refused_at_the_watermark_and_taken_again_below_it(node: ReceivingNode) -> None:
    node.store.watermark_percent = 75.0
    images = large_images(14, "watermark")
    answers = sent(node, images)
    fitting = answers.index(OUT_OF_RESOURCES)
    assert answers == [SUCCESS] * fitting + [OUT_OF_RESOURCES] * (14 - fitting)
    disk = shutil.disk_usage(node.store.root)
    assert 0.75 - IMAGE_BYTES / disk.total < disk.used / disk.total <= 0.75
    assert len(node.instances(images[0].StudyInstanceUID)) == fitting
    node.store.watermark_percent = 100.0
    assert sent(node, images[-1:]) == [SUCCESS]


def test_a_disk_that_fills_in_the_middle_of_an_image_leaves_no_half_file(
    node: ReceivingNode,
) -> None:
    images = large_images(3, "full")
    assert sent(node, images[:1]) == [SUCCESS]
    with filled(node.store.root, leaving_bytes=IMAGE_BYTES // 2):
        assert sent(node, images) == [SUCCESS, OUT_OF_RESOURCES, OUT_OF_RESOURCES]
        assert left_over(node) == []
        assert len(node.files(images[0].StudyInstanceUID)) == 1
    assert sent(node, images) == [SUCCESS] * 3
    assert len(node.instances(images[0].StudyInstanceUID)) == 3


def test_a_read_only_disk_refuses_and_is_written_again_later(node: ReceivingNode) -> None:
    images = large_images(2, "read-only")
    assert sent(node, images[:1]) == [SUCCESS]
    with read_only(node.store.root):
        assert sent(node, images[1:]) == [OUT_OF_RESOURCES]
    assert sent(node, images[1:]) == [SUCCESS]
    assert left_over(node) == []
    assert len(node.instances(images[0].StudyInstanceUID)) == 2


@pytest.mark.slow
def test_a_node_whose_database_is_locked_acknowledges_and_delivers_once_it_is_free(
    tmp_path: Path,
) -> None:
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        node = RunningNode(folder=tmp_path / "node", destinations=(pacs.destination,))
        with running(node):
            locked = sqlite3.connect(node.folder / "data" / "neurosieve.db", isolation_level=None)
            locked.execute("BEGIN IMMEDIATE")
            assert all(one.stored for one in pacs.send(demo_study.IMAGES, node.address))
            assert node.view().studies == ()
            locked.execute("ROLLBACK")
            locked.close()
            view = node.wait_for_end()
    assert view.states == [StudyState.DELIVERED]
    assert view.instance_count == len(demo_study.IMAGES)


@pytest.mark.slow
def test_a_study_whose_results_find_no_room_waits_and_is_delivered_later(tmp_path: Path) -> None:
    """There is room for its rows, not for its heatmaps; the reconciler looks once a minute."""
    with (
        small_disk(tmp_path / "node" / "data", 128) as disk,
        SimulatedPacs(tmp_path / "pacs") as pacs,
    ):
        node = RunningNode(folder=tmp_path / "node", destinations=(pacs.destination,))
        with running(node):
            pacs.send(demo_study.IMAGES, node.address)
            node.wait_for_event("step_started", step="assemble")
            with filled(disk, leaving_bytes=400_000):
                node.wait_for_event("study_waits")
                assert node.view().states == [StudyState.ANALYSING]
            view = node.wait_for_end()
            assert node.stop() == 0
    assert view.states == [StudyState.DELIVERED]
    assert view.studies[0].error is None
    assert node.events("analysis_failed") == []
