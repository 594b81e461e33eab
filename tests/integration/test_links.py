"""Images over lines that are slow, cut, or bring them out of order: a socket proxy in between."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

import builders
from agent.dicom import part10, sender
from agent.dicom.sender import SendOutcome
from agent.errors import PeerError
from links import Link, link_to
from reception import ReceivingNode, encoded, receiving_node, saved
from running import wait_until


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    with receiving_node(tmp_path_factory.mktemp("node")) as running:
        yield running


def send(node: ReceivingNode, images: list[Dataset], folder: Path, link: Link) -> list[SendOutcome]:
    with link_to(node.listener.port, link) as port:
        return sender.send(
            saved(images, folder), replace(node.destination, port=port), calling_ae="MODALITY"
        )


def test_a_slow_line_brings_everything(node: ReceivingNode, tmp_path: Path) -> None:
    images = builders.flair_series(slices=3, rows=16, columns=16, study="slow")
    outcomes = send(node, images, tmp_path, Link(crumb_bytes=97, pause_seconds=0.002))
    assert [one.stored for one in outcomes] == [True] * 3
    assert len(node.files(images[0].StudyInstanceUID)) == 3


def test_a_line_that_is_cut_anywhere_leaves_whole_images_and_a_node_that_serves(
    node: ReceivingNode, tmp_path: Path
) -> None:
    images = builders.flair_series(slices=3, rows=16, columns=16, study="cut")
    whole = {str(one.SOPInstanceUID): encoded(one) for one in images}
    study = images[0].StudyInstanceUID
    for cut in (1, 5, 6, 80, 250, 400, 600, 1000, 1500, 2000, 2500, 3500):
        try:
            outcomes = send(node, images, tmp_path / f"{cut}", Link(cut_after_bytes=cut))
        except PeerError:
            outcomes = []
        kept = [part10.parse(file.read_bytes()) for file in node.files(study)]
        assert all(bytes(one.encoded) in whole.values() for one in kept)
        assert len(kept) >= sum(one.stored for one in outcomes)
        sender.echo(node.destination, calling_ae="MODALITY")
    outcomes = send(node, images, tmp_path / "whole", Link())
    assert [one.stored for one in outcomes] == [True] * 3
    assert len(node.files(study)) == 3
    wait_until(lambda: not node.listener.open_studies(), timeout_seconds=10, what="a closed study")


def test_images_that_overtake_each_other_all_arrive(node: ReceivingNode, tmp_path: Path) -> None:
    """One association an image, and the first to be opened is the last to get through."""
    images = builders.flair_series(slices=6, rows=16, columns=16, study="overtaken")
    outcomes: list[SendOutcome] = []

    def send_one(number: int, image: Dataset) -> None:
        link = Link(hold_seconds=0.2 * (len(images) - number))
        outcomes.extend(send(node, [image], tmp_path / f"{number}", link))

    threads = [threading.Thread(target=send_one, args=one) for one in enumerate(images)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.stored for one in outcomes] == [True] * 6
    assert outcomes[0].sop_uid == images[-1].SOPInstanceUID
    assert node.row_count(images[0].StudyInstanceUID) == 6
