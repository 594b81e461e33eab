"""Data sets made to do harm, sent to a real listener: each is refused with its status, and the
next image is taken as if nothing had been."""

import resource
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

import builders
import mutations
from agent.dicom import part10, sender, volumes
from agent.dicom.volumes import UnreadablePixels
from encoded_images import Encoded
from reception import (
    MR_EXPLICIT,
    ReceivingNode,
    association_to,
    encoded,
    receiving_node,
    saved,
    store,
    store_dataset,
)

SUCCESS, CANNOT_UNDERSTAND = 0x0000, 0xC000
MR = str(uid.MRImageStorage)
EXPLICIT = str(uid.ExplicitVRLittleEndian)
MIB = 1 << 20


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    with receiving_node(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture
def image(request: pytest.FixtureRequest) -> Dataset:
    """A small image in a study of this test alone."""
    return builders.flair_series(slices=1, rows=16, columns=16, study=request.node.name)[0]


def answers(node: ReceivingNode, content: bytes, image: Dataset, syntax: str) -> list[int | None]:
    """What is said to these bytes and, in the same association, to the image as it is."""
    contexts = list(dict.fromkeys([(MR, syntax), MR_EXPLICIT]))
    with association_to(node.listener.port, contexts) as association:
        name = str(image.SOPInstanceUID)
        first = store(association, content, sop_uid=name, context=(MR, syntax))
        return [first, store_dataset(association, image)]


def assert_refused(
    node: ReceivingNode, content: bytes, image: Dataset, syntax: str = EXPLICIT
) -> None:
    study = str(image.StudyInstanceUID)
    assert answers(node, content, image, syntax) == [CANNOT_UNDERSTAND, SUCCESS]
    assert len(node.files(study)) == 1
    assert node.row_count(study) == 1


@pytest.mark.parametrize("syntax", [EXPLICIT, str(uid.ImplicitVRLittleEndian)])
@pytest.mark.parametrize("defined", [True, False])
def test_ten_thousand_sequences_in_each_other(
    node: ReceivingNode, image: Dataset, syntax: str, defined: bool
) -> None:
    source = Encoded(content=b"", syntax=syntax)
    value = mutations.nested(10_000, source, defined=defined)
    length = len(value) if defined else 0xFFFFFFFF
    deep = mutations.Element(tag=0x00081140, vr=b"SQ", length=length, value=value)
    assert_refused(node, deep.encoded(source) + encoded(image), image, syntax)


def test_sequences_as_deep_as_allowed_are_taken(node: ReceivingNode, image: Dataset) -> None:
    source = Encoded(content=b"", syntax=EXPLICIT)
    value = mutations.nested(32, source, defined=True)
    deep = mutations.Element(tag=0x00081140, vr=b"SQ", length=len(value), value=value)
    content = deep.encoded(source) + encoded(image)
    assert answers(node, content, image, EXPLICIT) == [SUCCESS, SUCCESS]


def test_more_than_a_million_elements(node: ReceivingNode, image: Dataset) -> None:
    private = struct.pack("<HH2sH", 0x0009, 0x1001, b"CS", 0)
    assert_refused(node, private * 1_000_001 + encoded(image), image)


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.RLELossless, uid.JPEGLSLossless])
@pytest.mark.parametrize("sop_class", [uid.MRImageStorage, uid.EnhancedMRImageStorage])
def test_two_kilobytes_that_claim_a_hundred_gigabytes(
    node: ReceivingNode, image: Dataset, syntax: uid.UID, sop_class: uid.UID
) -> None:
    bomb = builders.flair_series(slices=1, rows=16, columns=16, study=str(image.StudyID))[0]
    bomb.SOPClassUID = bomb.file_meta.MediaStorageSOPClassUID = sop_class
    bomb.Rows = bomb.Columns = 65_535
    bomb.NumberOfFrames = 12
    bomb.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(100)])
    bomb["PixelData"].is_undefined_length = True
    bomb.file_meta.TransferSyntaxUID = syntax
    content = encoded(bomb)
    assert len(content) < 2048
    before = peak_bytes()
    with association_to(node.listener.port, [(str(sop_class), str(syntax))]) as association:
        assert store_dataset(association, bomb) == CANNOT_UNDERSTAND
    assert peak_bytes() - before < 64 * MIB


def test_a_deflated_data_set_that_would_fill_the_memory(
    node: ReceivingNode, image: Dataset
) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(16 * MIB)) for _ in range(20)) + packer.flush()
    assert len(bomb) < MIB
    assert_refused(node, bomb, image, str(uid.DeflatedExplicitVRLittleEndian))


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("name", [b"../../../etc/cron.d/x", b"/etc/passwd", b"C:\\x", b"1.2/3"])
def test_a_uid_with_parts_of_a_path(
    node: ReceivingNode, image: Dataset, keyword: str, name: bytes
) -> None:
    content = encoded(image)
    value = str(image[keyword].value).encode()
    value += b"\0" * (len(value) % 2)
    wrong = name.ljust(len(value), b"\0")
    assert content.count(value) >= 1
    assert_refused(node, content.replace(value, wrong), image)
    kept = {file.name for folder in node.store.image_paths() for file in [Path(folder)]}
    assert all(len(file) == len("0" * 64 + ".dcm") for file in kept)


def test_thousands_of_character_sets(node: ReceivingNode, image: Dataset) -> None:
    sets = b"\\".join([b"ISO 2022 IR 58"] * 4000)
    sets += b" " * (len(sets) % 2)
    value = struct.pack("<HH2sH", 8, 5, b"CS", len(sets)) + sets
    own = struct.pack("<HH2sH", 8, 5, b"CS", 10) + b"ISO_IR 192"
    content = encoded(image)
    assert content.count(own) == 1
    assert_refused(node, content.replace(own, value), image)


def test_a_file_instead_of_a_data_set(node: ReceivingNode, image: Dataset) -> None:
    assert_refused(node, b"MZ" + bytes(126) + b"DICM" + encoded(image), image)


def test_an_image_that_is_cut_off_is_kept_and_its_analysis_says_so(
    node: ReceivingNode, image: Dataset
) -> None:
    """A scanner may have made it, and it is all there is."""
    image.PixelData = image.PixelData[:-2]
    with association_to(node.listener.port) as association:
        assert store_dataset(association, image) == SUCCESS
    kept = node.files(str(image.StudyInstanceUID))
    with pytest.raises(UnreadablePixels, match="512 bytes of pixels are announced, 510 are there"):
        volumes.load(kept)


PREAMBLES = {
    "program": b"\x7fELF\x02\x01\x01" + b"\x90" * 100,
    "windows program": b"MZ" + b"\x90" * 120,
    "tiff": b"II*\x00\x08\x00\x00\x00" + b"\x01" * 100,
    "pdf": b"%PDF-1.7 /OpenAction" + b" " * 90,
    "script": b"#!/bin/sh\nrm -rf /\n",
}


@pytest.mark.parametrize("kind", PREAMBLES)
def test_nothing_of_a_preamble_is_sent_or_kept(
    node: ReceivingNode, image: Dataset, kind: str, tmp_path: Path
) -> None:
    (item,) = saved([image], tmp_path)
    whole = item.path.read_bytes()
    item.path.write_bytes(PREAMBLES[kind].ljust(128, b"\x90") + whole[128:])
    (outcome,) = sender.send([item], node.destination, calling_ae="MODALITY")
    assert outcome.stored
    (kept,) = node.files(str(image.StudyInstanceUID))
    content = kept.read_bytes()
    assert content[:132] == bytes(128) + b"DICM"
    assert bytes(part10.parse(content).encoded) == encoded(image)
    assert PREAMBLES[kind].strip() not in content


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
