"""The sender against real peers made with pynetdicom."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt

import builders
from agent.dicom import part10, sender, wire
from agent.dicom.peer import Destination
from agent.dicom.sender import SendItem
from agent.errors import PeerError
from reception import HOST, encoded, saved

MR, EXPLICIT = str(uid.MRImageStorage), str(uid.ExplicitVRLittleEndian)


@contextmanager
def peer(
    on_store: Callable[[evt.Event], int],
    *,
    contexts: Sequence[tuple[str, list[str]]] = ((MR, [EXPLICIT]),),
    set_up: Callable[[AE], None] = lambda _: None,
) -> Iterator[Destination]:
    """A storage SCP that answers with `on_store`."""
    ae = AE("PEER")
    for sop_class, transfer_syntaxes in contexts:
        ae.add_supported_context(sop_class, transfer_syntaxes)
    set_up(ae)
    server = ae.start_server((HOST, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)])
    assert server is not None
    try:
        yield Destination(
            name="pacs", ae_title="PEER", host=HOST, port=int(server.server_address[1])
        )
    finally:
        ae.shutdown()


def images(tmp_path: Path, count: int = 2) -> list[SendItem]:
    return saved(builders.flair_series(slices=count), tmp_path / "out")


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def test_files_are_sent_as_they_lie_on_disk(tmp_path: Path) -> None:
    arrived: list[bytes] = []

    def keep(event: evt.Event) -> int:
        arrived.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    items = images(tmp_path)
    with peer(keep) as destination:
        outcomes = sender.send(items, destination, calling_ae="NODE")

    assert [(one.sop_uid, one.stored, one.status) for one in outcomes] == [
        (item.sop_uid, True, 0x0000) for item in items
    ]
    assert arrived == [bytes(part10.parse(item.path.read_bytes()).encoded) for item in items]


def test_results_of_an_urgent_study_go_with_high_priority(tmp_path: Path) -> None:
    priorities: list[int] = []

    def note(event: evt.Event) -> int:
        priorities.append(wire.store_request(event).Priority or 0)
        return 0x0000

    usual, urgent = images(tmp_path)
    with peer(note) as destination:
        sender.send([usual, replace(urgent, urgent=True)], destination, calling_ae="NODE")
    assert priorities == [0, 1]  # medium, high (PS3.7 9.3.1.1)


def test_exactly_the_contexts_of_the_files_are_proposed(tmp_path: Path) -> None:
    proposed: list[tuple[str, list[str]]] = []

    def note(event: evt.Event) -> int:
        proposed[:] = [
            (str(one.abstract_syntax), [str(syntax) for syntax in one.transfer_syntax])
            for one in event.assoc.requestor.requested_contexts
        ]
        return 0x0000

    first, second = builders.flair_series(slices=2)
    second.compress(uid.RLELossless, generate_instance_uid=False)
    with peer(note, contexts=[(MR, [EXPLICIT, str(uid.RLELossless)])]) as destination:
        outcomes = sender.send(saved([first, second], tmp_path), destination, calling_ae="NODE")

    assert all(one.stored for one in outcomes)
    assert sorted(proposed) == [(MR, [EXPLICIT]), (MR, [str(uid.RLELossless)])]


@pytest.mark.parametrize(
    ("status", "stored"),
    [
        (0x0000, True),
        (0xB000, True),
        (0xB006, True),
        (0xB007, True),
        (0xA700, False),
        (0xA900, False),
        (0xC000, False),
        (0x0122, False),
    ],
)
def test_a_warning_counts_as_stored_and_a_failure_does_not(
    tmp_path: Path, status: int, stored: bool
) -> None:
    with peer(lambda _: status) as destination:
        (outcome,) = sender.send(images(tmp_path, 1), destination, calling_ae="NODE")
    assert (outcome.stored, outcome.status) == (stored, status)
    if status:
        assert f"0x{status:04X}" in outcome.message


def test_a_refused_context_fails_its_files_only(tmp_path: Path) -> None:
    plain, foreign = builders.flair_series(slices=2)
    foreign.SOPClassUID = uid.SegmentationStorage
    items = saved([foreign, plain], tmp_path)
    with peer(lambda _: 0x0000) as destination:
        refused, stored = sender.send(items, destination, calling_ae="NODE")
    assert stored.stored
    assert not refused.stored
    assert refused.message == (
        "The peer does not accept Segmentation Storage in Explicit VR Little Endian."
    )


def test_a_peer_that_refuses_every_context_is_not_an_absent_peer(tmp_path: Path) -> None:
    with peer(lambda _: 0x0000, contexts=[("1.2.840.10008.1.1", [EXPLICIT])]) as destination:
        outcomes = sender.send(images(tmp_path), destination, calling_ae="NODE")
    assert [one.stored for one in outcomes] == [False, False]
    assert all("does not accept MR Image Storage" in one.message for one in outcomes)


def test_no_answer_and_a_broken_association_mean_not_stored(tmp_path: Path) -> None:
    def break_off(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    with peer(break_off) as destination:
        first, second = sender.send(images(tmp_path), destination, calling_ae="NODE")
    assert (first.stored, first.status) == (False, None)
    assert (second.stored, second.status) == (False, None)
    assert "lost" in second.message


def test_more_than_128_contexts_go_over_several_associations(tmp_path: Path) -> None:
    classes = sorted(str(one.abstract_syntax) for one in AllStoragePresentationContexts)[:130]
    seen: set[object] = set()

    def note(event: evt.Event) -> int:
        seen.add(event.assoc)
        return 0x0000

    small = builders.flair_series(slices=1, rows=2, columns=2)[0]
    with peer(note, contexts=[(one, [EXPLICIT]) for one in classes]) as destination:
        items = [of_class(small, sop_class, tmp_path) for sop_class in classes]
        outcomes = sender.send(items, destination, calling_ae="NODE")
    assert [one.sop_uid for one in outcomes] == [item.sop_uid for item in items]
    assert all(one.stored for one in outcomes)
    assert len(seen) == 2


def of_class(image: Dataset, sop_class: str, folder: Path) -> SendItem:
    image.SOPClassUID = uid.UID(sop_class)
    image.SOPInstanceUID = uid.UID(builders.uid(sop_class))
    (item,) = saved([image], folder / sop_class)
    return item


def test_a_peer_that_is_not_there_is_a_peer_error(tmp_path: Path) -> None:
    nobody = Destination(name="pacs", ae_title="PEER", host=HOST, port=closed_port())
    with pytest.raises(PeerError, match="cannot be reached") as caught:
        sender.send(images(tmp_path, 1), nobody, calling_ae="NODE")
    assert caught.value.retryable
    with pytest.raises(PeerError, match="pacs"):
        sender.echo(nobody, calling_ae="NODE")


def test_a_peer_that_does_not_know_us_is_a_peer_error(tmp_path: Path) -> None:
    def know_others_only(ae: AE) -> None:
        ae.require_calling_aet = ["OTHER"]

    with (
        peer(lambda _: 0x0000, set_up=know_others_only) as destination,
        pytest.raises(PeerError, match="AE title NODE"),
    ):
        sender.send(images(tmp_path, 1), destination, calling_ae="NODE")


def test_an_echo_that_is_not_accepted_is_a_peer_error() -> None:
    with (
        peer(lambda _: 0x0000) as destination,
        pytest.raises(PeerError, match="does not accept C-ECHO"),
    ):
        sender.echo(destination, calling_ae="NODE")


def test_what_a_peer_accepts_is_known_before_anything_is_sent() -> None:
    def never(event: evt.Event) -> int:
        raise AssertionError("nothing is to be sent")

    asked = [str(uid.SegmentationStorage), MR, str(uid.SecondaryCaptureImageStorage)]
    implicit = (str(uid.SecondaryCaptureImageStorage), [str(uid.ImplicitVRLittleEndian)])
    with peer(never, contexts=[(MR, [EXPLICIT]), implicit]) as destination:
        explicit = dict.fromkeys(asked, EXPLICIT)
        answers = sender.accepted_classes(destination, explicit, calling_ae="NODE")
    assert [(one.sop_class_uid, one.accepted) for one in answers] == [
        (asked[0], False),
        (MR, True),
        (asked[2], False),
    ]
    assert [one.detail for one in answers] == [
        "Abstract Syntax Not Supported",
        "Accepted",
        "Transfer Syntax(es) Not Supported",
    ]


def test_a_peer_that_accepts_no_class_is_not_an_absent_peer() -> None:
    with peer(lambda _: 0x0000, contexts=[("1.2.840.10008.1.1", [EXPLICIT])]) as destination:
        (answer,) = sender.accepted_classes(destination, {MR: EXPLICIT}, calling_ae="NODE")
    assert not answer.accepted


def test_nothing_to_send_needs_no_peer() -> None:
    nobody = Destination(name="pacs", ae_title="PEER", host=HOST, port=closed_port())
    assert sender.send([], nobody, calling_ae="NODE") == []


def test_deflated_files_are_sent_deflated(tmp_path: Path) -> None:
    (image,) = builders.flair_series(slices=1)
    image.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    arrived: list[bytes] = []

    def keep(event: evt.Event) -> int:
        arrived.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    contexts = [(MR, [str(uid.DeflatedExplicitVRLittleEndian)])]
    with peer(keep, contexts=contexts) as destination:
        sender.send(saved([image], tmp_path), destination, calling_ae="NODE")
    assert arrived == [encoded(image)]


def test_what_was_stored_before_the_line_broke_stays_stored(tmp_path: Path) -> None:
    answered: list[str] = []

    def break_off_at_the_second(event: evt.Event) -> int:
        if answered:
            event.assoc.abort()
        answered.append("once")
        return 0x0000

    with peer(break_off_at_the_second) as destination:
        outcomes = sender.send(images(tmp_path, 3), destination, calling_ae="NODE")
    assert [one.stored for one in outcomes] == [True, False, False]
