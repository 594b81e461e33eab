"""The PACS that the demonstration and the tests use, over real associations."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid

import builders
from agent.demo.pacs import SimulatedPacs
from agent.dicom import sender
from reception import receiving_node, saved


def test_it_answers_an_echo(tmp_path: Path) -> None:
    with SimulatedPacs(tmp_path) as pacs:
        sender.echo(pacs.destination, calling_ae="NODE")


def test_it_keeps_every_class_in_files_that_can_be_read(tmp_path: Path) -> None:
    plain, packed, labelled = builders.flair_series(slices=3)
    packed.compress(uid.JPEGLSLossless, generate_instance_uid=False)
    labelled.SOPClassUID = uid.SegmentationStorage
    items = saved([plain, packed, labelled], tmp_path / "out")

    with SimulatedPacs(tmp_path / "pacs") as pacs:
        outcomes = sender.send(items, pacs.destination, calling_ae="NODE")
        kept = [pydicom.dcmread(file) for file in pacs.received()]

    assert all(outcome.stored for outcome in outcomes)
    assert {one.SOPInstanceUID for one in kept} == {item.sop_uid for item in items}
    original = {one.SOPInstanceUID: one.pixel_array for one in (plain, packed)}
    for one in kept:
        if one.SOPClassUID == uid.MRImageStorage:
            assert np.array_equal(one.pixel_array, original[one.SOPInstanceUID])


def test_an_object_sent_again_is_kept_once(tmp_path: Path) -> None:
    items = saved(builders.flair_series(slices=1), tmp_path / "out")
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        sender.send(items, pacs.destination, calling_ae="NODE")
        sender.send(items, pacs.destination, calling_ae="NODE")
        assert len(pacs.received()) == 1


def test_it_routes_images_to_a_node(tmp_path: Path) -> None:
    images = builders.flair_series(slices=4)
    items = saved(images, tmp_path / "archive")
    with SimulatedPacs(tmp_path / "pacs") as pacs, receiving_node(tmp_path) as node:
        outcomes = pacs.send([item.path for item in items], node.destination)
        rows = node.instances(images[0].StudyInstanceUID)
    assert [outcome.status for outcome in outcomes] == [0, 0, 0, 0]
    assert {row.sop_uid for row in rows} == {item.sop_uid for item in items}
    assert {row.source_ae for row in rows} == {"PACS"}


def test_waiting_ends_when_enough_has_come(tmp_path: Path) -> None:
    items = saved(builders.flair_series(slices=2), tmp_path / "out")
    with SimulatedPacs(tmp_path / "pacs") as pacs:
        assert not pacs.wait_for(lambda files: len(files) == 2, timeout_seconds=0.05)
        sender.send(items, pacs.destination, calling_ae="NODE")
        assert pacs.wait_for(lambda files: len(files) == 2, timeout_seconds=5)
