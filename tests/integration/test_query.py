"""Asking a real Orthanc what it holds, by C-FIND and QIDO-RS, and having it send by C-MOVE."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

import builders
from agent.dicom import query, sender, transport
from agent.dicom.peer import Destination
from agent.dicom.query import PeerSeries
from agent.dicom.transport import AnyDestination
from agent.errors import PeerError
from orthanc import Orthanc, free_port, running_orthanc
from reception import receiving_node, saved
from sources import OddSource, running_source
from storage.records import SeriesUid, StudyUid
from web_peers import Answer, Request, web_peer

CALLING = "NEUROSIEVE"
STUDY = StudyUid(builders.uid("study", "query"))
SERIES = SeriesUid(builders.uid("series", "query", "flair"))
OTHER = SeriesUid(builders.uid("series", "query", "other"))
WAYS = ("dimse", "web")


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc that knows us and holds two series of one study."""
    folder = tmp_path_factory.mktemp("orthanc")
    login = ("node", "secret")
    with running_orthanc(folder, node_port=free_port(), login=login) as running:
        for name, slices in (("flair", 5), ("other", 3)):
            images = builders.flair_series(
                slices=slices, rows=16, columns=16, study="query", series=name
            )
            outcomes = sender.send(
                saved(images, folder / name), running.destination, calling_ae=CALLING
            )
            assert all(one.stored for one in outcomes)
        yield running


def place(pacs: Orthanc, way: str) -> AnyDestination:
    return pacs.destination if way == "dimse" else pacs.web_destination


@pytest.mark.peer
@pytest.mark.parametrize("way", WAYS)
def test_orthanc_says_which_series_it_holds(pacs: Orthanc, way: str) -> None:
    found = transport.series_of(place(pacs, way), STUDY, calling_ae=CALLING)
    assert set(found) == {
        PeerSeries(series_uid=SERIES, modality="MR", instance_count=5),
        PeerSeries(series_uid=OTHER, modality="MR", instance_count=3),
    }


@pytest.mark.peer
@pytest.mark.parametrize("way", WAYS)
def test_orthanc_lists_the_instances_of_a_series(pacs: Orthanc, way: str) -> None:
    found = transport.classes_of(place(pacs, way), STUDY, SERIES, calling_ae=CALLING)
    assert found.keys() == {builders.uid("image", "query", "flair", n) for n in range(5)}
    assert set(found.values()) == {str(MRImageStorage)}


@pytest.mark.peer
@pytest.mark.parametrize("way", WAYS)
def test_a_study_that_orthanc_does_not_know_has_no_series(pacs: Orthanc, way: str) -> None:
    unknown = StudyUid("1.2.3")
    assert transport.series_of(place(pacs, way), unknown, calling_ae=CALLING) == []


@pytest.mark.peer
def test_orthanc_refuses_a_caller_that_it_does_not_know(pacs: Orthanc) -> None:
    with pytest.raises(PeerError):
        query.series_of(pacs.destination, STUDY, calling_ae="STRANGER")


@contextmanager
def source_of(images: list[Dataset], **odd: object) -> Iterator[OddSource]:
    source = OddSource(held=images)
    for name, value in odd.items():
        setattr(source, name, value)
    with running_source(source):
        yield source


def small(slices: int = 4) -> list[Dataset]:
    return builders.flair_series(slices=slices, rows=16, columns=16, study="query")


def test_a_peer_that_gives_no_count_says_nothing_about_it() -> None:
    with source_of(small(), says_counts=False) as source:
        (found,) = query.series_of(source.destination, STUDY, calling_ae=CALLING)
    assert found.instance_count is None
    assert found.modality == "MR"


def test_a_refused_question_is_one_sentence_with_the_status() -> None:
    with source_of(small(), find_status=0xA700) as source, pytest.raises(PeerError, match="0xA700"):
        query.classes_of(source.destination, STUDY, SERIES, calling_ae=CALLING)


def test_a_peer_that_is_down_is_one_sentence() -> None:
    away = Destination(name="PACS", ae_title="PACS", host="127.0.0.1", port=free_port())
    with pytest.raises(PeerError, match="cannot be reached"):
        query.series_of(away, STUDY, calling_ae=CALLING)


def test_a_moved_series_arrives_and_is_counted(tmp_path: Path) -> None:
    with receiving_node(tmp_path) as node, source_of(small()) as source:
        source.node_port = node.listener.port
        count = query.move_series(
            source.destination, STUDY, SERIES, calling_ae="NODE", to_ae="NODE"
        )
        rows = node.instances(STUDY)
    assert count == len(rows) == 4
    assert source.moves == [(SERIES, "NODE")]


def test_a_refused_move_is_one_sentence_with_the_status() -> None:
    with source_of(small(), move_status=0xA801) as source, pytest.raises(PeerError, match="0xA801"):
        query.move_series(source.destination, STUDY, SERIES, calling_ae="NODE", to_ae="NODE")


def test_a_peer_without_query_says_so(tmp_path: Path) -> None:
    with receiving_node(tmp_path) as node:
        with pytest.raises(PeerError, match="C-FIND"):
            query.series_of(node.destination, STUDY, calling_ae=CALLING)
        with pytest.raises(PeerError, match="C-MOVE"):
            query.move_series(node.destination, STUDY, SERIES, calling_ae="NODE", to_ae="NODE")


def json_series(*uids: str, **more: object) -> list[dict[str, object]]:
    return [{"0020000E": {"vr": "UI", "Value": [uid]}, **more} for uid in uids]


def test_a_web_peer_that_cuts_its_answers_is_asked_page_by_page() -> None:
    """Some servers give so many at a time, whatever they are asked for."""
    held = [f"1.2.{number}" for number in range(5)]

    def answer(request: Request) -> Answer:
        (offset,) = parse_qs(urlsplit(request.path).query)["offset"]
        page = held[int(offset) : int(offset) + 2]
        return Answer(status=200, body=json.dumps(json_series(*page)).encode())

    with web_peer(answer) as server:
        found = transport.series_of(server.destination, STUDY, calling_ae=CALLING)
    assert [one.series_uid for one in found] == held
    assert {(one.modality, one.instance_count) for one in found} == {("", None)}


def test_a_web_peer_that_knows_no_offset_is_not_asked_for_ever() -> None:
    body = json.dumps(json_series("1.2.3", **{"00201209": {"vr": "IS", "Value": [7]}})).encode()
    with web_peer(lambda _: Answer(body=body)) as server:
        (found,) = transport.series_of(server.destination, STUDY, calling_ae=CALLING)
        assert len(server.requests) == 2
    assert found.instance_count == 7


@pytest.mark.parametrize("body", [b"[1]", b"{}", b"<html>"])
def test_what_is_no_dicom_json_is_an_error(body: bytes) -> None:
    with (
        web_peer(lambda _: Answer(body=body)) as server,
        pytest.raises(PeerError, match="not as a DICOMweb service"),
    ):
        transport.series_of(server.destination, STUDY, calling_ae=CALLING)


@pytest.mark.parametrize("body", [b'[{"0020000E": "1.2"}]', b'[{"0020000E": {"Value": {}}}]'])
def test_a_series_without_a_uid_is_passed_over(body: bytes) -> None:
    with web_peer(lambda _: Answer(body=body)) as server:
        assert transport.series_of(server.destination, STUDY, calling_ae=CALLING) == []


def test_a_web_peer_without_that_study_has_no_series() -> None:
    with web_peer(lambda _: Answer(status=204)) as server:
        assert transport.series_of(server.destination, STUDY, calling_ae=CALLING) == []
