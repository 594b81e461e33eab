"""The listener over real local associations, with a real file store and a real database."""

import copy
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset

import builders
from agent.dicom import part10, sender, syntaxes
from agent.dicom.listener import Listener
from agent.dicom.objects import equipment
from agent.dicom.receipts import Receipts
from reception import (
    HOST,
    MR_EXPLICIT,
    ReceivingNode,
    association_to,
    encoded,
    receiving_node,
    store,
    store_dataset,
)
from storage.enums import Priority
from storage.errors import StoreFull
from storage.files import FileStore

MR = str(uid.MRImageStorage)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    """One node for all tests, because ending a server takes half a second."""
    with receiving_node(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture
def image(request: pytest.FixtureRequest) -> Dataset:
    """An image in a study of this test alone."""
    return builders.flair_series(slices=1, study=request.node.name)[0]


def in_syntax(dataset: Dataset, syntax: uid.UID) -> Dataset:
    if syntax.is_encapsulated:
        # The UIDs stay, so that what is compared is only the encoding.
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def read_with_pydicom(path: Path) -> Dataset:
    return pydicom.dcmread(path)


def test_an_echo_is_answered(node: ReceivingNode) -> None:
    sender.echo(node.destination, calling_ae="MODALITY")


def test_an_image_is_kept_byte_for_byte_and_gets_a_row(node: ReceivingNode, image: Dataset) -> None:
    with association_to(node.listener.port) as association:
        assert store_dataset(association, image) == 0x0000

    (file,) = node.files(image.StudyInstanceUID)
    kept = part10.parse(file.read_bytes())
    assert bytes(kept.encoded) == encoded(image)
    (row,) = node.instances(image.StudyInstanceUID)
    assert node.store.path_of(row.path) == file
    assert row.sop_uid == image.SOPInstanceUID
    assert row.source_ae == kept.source_ae == "MODALITY"
    assert row.content_sha256 == part10.content_sha256(encoded(image), uid.ExplicitVRLittleEndian)


def test_other_programs_can_read_the_kept_file(node: ReceivingNode, image: Dataset) -> None:
    with association_to(node.listener.port) as association:
        store_dataset(association, image)

    kept = read_with_pydicom(node.files(image.StudyInstanceUID)[0])
    assert kept.file_meta.SourceApplicationEntityTitle == "MODALITY"
    assert kept.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
    assert np.array_equal(kept.pixel_array, image.pixel_array)


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.RLELossless,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
    ],
    ids=lambda syntax: str(syntax.keyword),
)
def test_an_image_arrives_in_its_transfer_syntax(
    node: ReceivingNode, image: Dataset, syntax: uid.UID
) -> None:
    pixels = image.pixel_array.copy()
    sent = in_syntax(image, syntax)
    with association_to(node.listener.port, [(MR, syntax)]) as association:
        assert store_dataset(association, sent) == 0x0000

    kept = read_with_pydicom(node.files(image.StudyInstanceUID)[0])
    assert kept.file_meta.TransferSyntaxUID == syntax
    if syntax != uid.ExplicitVRBigEndian:  # the builder's pixels are little-endian bytes
        assert np.array_equal(kept.pixel_array, pixels)


@pytest.mark.parametrize(
    "name",
    [
        "1.2.840.10008.1.2.1.99.dcm",
        "1.2.840.10008.1.2.1.dcm",
        "1.2.840.10008.1.2.2.dcm",
        "1.2.840.10008.1.2.4.50.dcm",
        "1.2.840.10008.1.2.4.57.dcm",
        "1.2.840.10008.1.2.4.70.dcm",
        "1.2.840.10008.1.2.4.80.dcm",
        "1.2.840.10008.1.2.4.81.dcm",
        "1.2.840.10008.1.2.4.90.dcm",
        "1.2.840.10008.1.2.4.91.dcm",
        "1.2.840.10008.1.2.5.dcm",
        "Jpeg.dcm",
        "JpegLossless.dcm",
        "Rle.dcm",
        "jp2k91YBR-ICT.dcm",
    ],
)
def test_a_file_of_another_maker_arrives_and_can_be_decoded(
    node: ReceivingNode, shared_data: Path, tmp_path: Path, name: str
) -> None:
    source = pydicom.dcmread(shared_data / "dicom" / "transfer_syntaxes" / name)
    source.StudyInstanceUID = builders.uid(name)
    source.SOPClassUID = source.file_meta.MediaStorageSOPClassUID = uid.MRImageStorage
    path = tmp_path / "labelled-mr.dcm"
    source.save_as(path)
    syntax = str(source.file_meta.TransferSyntaxUID)
    item = sender.SendItem(
        path=path,
        sop_uid=source.SOPInstanceUID,
        sop_class_uid=MR,
        transfer_syntax_uid=syntax,
    )

    (outcome,) = sender.send([item], node.destination, calling_ae="MODALITY")

    assert outcome.stored, outcome.message
    kept = read_with_pydicom(node.files(source.StudyInstanceUID)[0])
    assert np.array_equal(kept.pixel_array, pydicom.dcmread(path).pixel_array)


@pytest.mark.parametrize(
    "context",
    [
        (MR, str(uid.JPEGExtended12Bit)),
        (MR, str(uid.MPEG4HP41)),
        (str(uid.SegmentationStorage), str(uid.ExplicitVRLittleEndian)),
        (str(uid.Comprehensive3DSRStorage), str(uid.ExplicitVRLittleEndian)),
        (str(uid.SecondaryCaptureImageStorage), str(uid.ExplicitVRLittleEndian)),
        ("1.2.3.4.5.6", str(uid.ExplicitVRLittleEndian)),
    ],
)
def test_what_cannot_be_read_is_not_negotiated(
    node: ReceivingNode, context: tuple[str, str]
) -> None:
    with association_to(node.listener.port, [MR_EXPLICIT, context]) as association:
        accepted = [str(one.abstract_syntax) for one in association.accepted_contexts]
    assert accepted == [MR]


def test_every_syntax_that_is_accepted_has_a_decoder() -> None:
    assert {uid.JPEGLossless, uid.JPEGLosslessSV1, uid.HTJ2KLossless} <= set(syntaxes.decodable())


def bad_bytes(image: Dataset) -> dict[str, tuple[bytes, str, int]]:
    """Content, SOP Instance UID of the request, and the status it must get."""
    good, sop_uid = encoded(image), str(image.SOPInstanceUID)
    climber = ("../" * 22)[: len(sop_uid)]
    nameless = copy.deepcopy(image)
    del nameless.SOPInstanceUID
    return {
        "cut off in the pixels": (good[:-100], sop_uid, 0xC000),
        "cut off in the header": (good[:201], sop_uid, 0xC000),
        "text": (b"This is no DICOM data set at all. " * 40, sop_uid, 0xC000),
        "zeros": (bytes(2000), sop_uid, 0xC000),
        "no SOP Instance UID": (encoded(nameless), sop_uid, 0xC000),
        "a UID that climbs": (good.replace(sop_uid.encode(), climber.encode()), climber, 0xC000),
        "another image than announced": (good, "1.2.3", 0xA900),
    }


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # pynetdicom's, of the climbing UID
@pytest.mark.parametrize("kind", list(bad_bytes(builders.flair_series(slices=1)[0])))
def test_bad_bytes_are_refused_and_the_association_goes_on(
    node: ReceivingNode, image: Dataset, kind: str
) -> None:
    content, sop_uid, expected = bad_bytes(image)[kind]
    with association_to(node.listener.port) as association:
        assert store(association, content, sop_uid=sop_uid) == expected
        assert node.files(image.StudyInstanceUID) == []
        assert store_dataset(association, image) == 0x0000
    assert node.row_count(image.StudyInstanceUID) == 1


def test_a_cut_off_deflated_image_is_refused(node: ReceivingNode, image: Dataset) -> None:
    syntax = uid.DeflatedExplicitVRLittleEndian
    content = encoded(in_syntax(image, syntax))
    with association_to(node.listener.port, [(MR, syntax)]) as association:
        status = store(
            association,
            content[: len(content) // 2],
            sop_uid=str(image.SOPInstanceUID),
            context=(MR, syntax),
        )
    assert status == 0xC000


def test_a_class_other_than_negotiated_is_refused(node: ReceivingNode, image: Dataset) -> None:
    with association_to(node.listener.port) as association:
        status = store(
            association,
            encoded(image),
            sop_uid=str(image.SOPInstanceUID),
            class_in_request=str(uid.CTImageStorage),
        )
    assert status == 0x0122


def test_a_data_set_of_another_class_than_announced_is_refused(
    node: ReceivingNode, image: Dataset
) -> None:
    image.SOPClassUID = uid.CTImageStorage
    with association_to(node.listener.port) as association:
        assert store(association, encoded(image), sop_uid=str(image.SOPInstanceUID)) == 0xA900


def test_an_unknown_class_ends_the_association_but_not_the_node(
    node: ReceivingNode, image: Dataset
) -> None:
    with association_to(node.listener.port) as association:
        status = store(
            association,
            encoded(image),
            sop_uid=str(image.SOPInstanceUID),
            class_in_request="1.2.3.4.5.6",
        )
    assert status is None
    sender.echo(node.destination, calling_ae="MODALITY")


def test_an_equal_duplicate_is_success_and_is_stored_once(
    node: ReceivingNode, image: Dataset
) -> None:
    with association_to(node.listener.port) as association:
        assert store_dataset(association, image) == 0x0000
        assert store_dataset(association, image) == 0x0000
    assert len(node.files(image.StudyInstanceUID)) == 1
    assert node.row_count(image.StudyInstanceUID) == 1


def test_a_changed_duplicate_is_success_and_keeps_both_files(
    node: ReceivingNode, image: Dataset
) -> None:
    with association_to(node.listener.port) as association:
        assert store_dataset(association, image) == 0x0000
        image.SeriesDescription = "changed"
        assert store_dataset(association, image) == 0x0000
    assert len(node.files(image.StudyInstanceUID)) == 2
    (current,) = node.instances(image.StudyInstanceUID)
    kept = read_with_pydicom(node.store.path_of(current.path))
    assert kept.SeriesDescription == "changed"


def test_our_own_result_is_refused(tmp_path: Path, image: Dataset) -> None:
    ours = str(image.SOPInstanceUID)
    with (
        receiving_node(tmp_path, is_ours=lambda sop_uid: sop_uid == ours) as node,
        association_to(node.listener.port) as association,
    ):
        assert store_dataset(association, image) == 0x0124
        assert node.files(image.StudyInstanceUID) == []


def test_a_result_of_another_node_of_ours_is_refused(node: ReceivingNode, image: Dataset) -> None:
    image.Manufacturer = equipment.MANUFACTURER
    with association_to(node.listener.port) as association:
        assert store_dataset(association, image) == 0x0124


class FailingStore:
    """A store that fails with the error it was given."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def keep_image(self, *_: Any) -> tuple[str, bool]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreFull("The disk is full."), 0xA700), (RuntimeError("a fault of ours"), 0x0110)],
)
def test_an_image_that_could_not_be_kept_gets_no_success(
    tmp_path: Path, image: Dataset, error: Exception, status: int
) -> None:
    with (
        receiving_node(tmp_path, store_for_images=lambda _: FailingStore(error)) as node,
        association_to(node.listener.port) as association,
    ):
        assert store_dataset(association, image) == status
        assert node.row_count(image.StudyInstanceUID) == 0


class GatedStore:
    """The real store, which waits at a gate before it keeps anything."""

    def __init__(self, store: FileStore) -> None:
        self.store = store
        self.asked, self.gate = threading.Event(), threading.Event()

    def keep_image(
        self, study_uid: str, content_sha256: str, parts: Sequence[bytes | memoryview]
    ) -> tuple[str, bool]:
        self.asked.set()
        assert self.gate.wait(10)
        return self.store.keep_image(study_uid, content_sha256, parts)


def test_success_is_sent_only_after_the_file_is_durable(tmp_path: Path, image: Dataset) -> None:
    gates: list[GatedStore] = []

    def gated(store: FileStore) -> GatedStore:
        gates.append(GatedStore(store))
        return gates[0]

    answers: list[tuple[int | None, int]] = []
    with receiving_node(tmp_path, store_for_images=gated) as node:

        def send() -> None:
            with association_to(node.listener.port) as association:
                answers.append(
                    (store_dataset(association, image), len(node.files(image.StudyInstanceUID)))
                )

        sending = threading.Thread(target=send)
        sending.start()
        assert gates[0].asked.wait(10)
        sending.join(0.2)
        assert answers == []
        gates[0].gate.set()
        sending.join(10)
    assert answers == [(0x0000, 1)]


@pytest.mark.parametrize("word", ["STAT", "HIGH"])
def test_an_urgent_order_makes_the_image_stat(
    node: ReceivingNode, image: Dataset, word: str
) -> None:
    image.RequestedProcedurePriority = word
    with association_to(node.listener.port) as association:
        store_dataset(association, image)
    assert node.instances(image.StudyInstanceUID)[0].priority is Priority.STAT


def test_a_request_of_high_priority_makes_the_image_stat(
    node: ReceivingNode, image: Dataset
) -> None:
    with association_to(node.listener.port) as association:
        store_dataset(association, image, priority=1)
    assert node.instances(image.StudyInstanceUID)[0].priority is Priority.STAT


def test_a_study_is_open_until_its_association_is_released(
    node: ReceivingNode, image: Dataset
) -> None:
    with association_to(node.listener.port) as association:
        assert node.listener.open_studies() == frozenset()
        store_dataset(association, image)
        assert node.receipts.flush()
        assert node.listener.open_studies() == {image.StudyInstanceUID}
    assert closes(node)


def test_a_study_is_no_longer_open_when_the_line_breaks(
    node: ReceivingNode, image: Dataset
) -> None:
    with association_to(node.listener.port) as association:
        store_dataset(association, image)
        wrapped = association.dul.socket
        assert wrapped is not None
        wrapped.close()
    assert closes(node)
    assert node.row_count(image.StudyInstanceUID) == 1


def closes(node: ReceivingNode) -> bool:
    """Whether no study stays open; the listener learns of an end a moment after the sender."""
    assert node.receipts.flush()
    waiting = threading.Event()
    return any(not node.listener.open_studies() or waiting.wait(0.02) for _ in range(250))


def test_images_are_taken_while_the_database_is_locked(node: ReceivingNode, image: Dataset) -> None:
    with node.database.begin(), association_to(node.listener.port) as association:
        assert store_dataset(association, image) == 0x0000
        assert node.receipts.waiting_studies() == {image.StudyInstanceUID}
    assert node.row_count(image.StudyInstanceUID) == 1


def test_a_taken_port_is_reported(node: ReceivingNode) -> None:
    second = Listener(
        ae_title="SECOND",
        host=HOST,
        port=node.listener.port,
        store=node.store,
        receipts=Receipts(node.database, node.store),
        is_ours=lambda _: False,
    )
    with pytest.raises(OSError, match="in use"):
        second.start()
