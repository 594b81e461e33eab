"""What is read from an encoded data set, and what is refused."""

import copy
import struct
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pynetdicom.dsutils import split_dataset

import builders
from agent.dicom import elements, headers, part10
from agent.dicom.headers import HeaderError, HeaderMismatch
from reception import encoded
from storage.enums import Priority

EXPLICIT = str(uid.ExplicitVRLittleEndian)
DEFLATED = str(uid.DeflatedExplicitVRLittleEndian)


@pytest.fixture
def image() -> Dataset:
    return builders.flair_series(slices=1, rows=8, columns=8)[0]


def in_syntax(dataset: Dataset, syntax: str) -> bytes:
    dataset.file_meta.TransferSyntaxUID = uid.UID(syntax)
    return encoded(dataset)


@pytest.mark.parametrize(
    "syntax",
    [EXPLICIT, DEFLATED, str(uid.ImplicitVRLittleEndian), str(uid.ExplicitVRBigEndian)],
)
def test_the_fields_are_read_in_every_uncompressed_encoding(image: Dataset, syntax: str) -> None:
    header = headers.read(in_syntax(image, syntax), syntax)
    assert header.study_uid == image.StudyInstanceUID
    assert header.series_uid == image.SeriesInstanceUID
    assert header.sop_uid == image.SOPInstanceUID
    assert header.sop_class_uid == image.SOPClassUID
    assert header.modality == "MR"
    assert header.manufacturer == "Builder"
    assert header.model_name == "Phantom 1"
    assert header.priority is Priority.ROUTINE


@pytest.mark.parametrize(
    ("word", "priority"),
    [
        ("STAT", Priority.STAT),
        ("HIGH", Priority.STAT),
        ("stat", Priority.STAT),
        ("ROUTINE", Priority.ROUTINE),
        ("LOW", Priority.ROUTINE),
        ("", Priority.ROUTINE),
    ],
)
def test_the_order_says_how_urgent_it_is(image: Dataset, word: str, priority: Priority) -> None:
    image.RequestedProcedurePriority = word
    assert headers.read(encoded(image), EXPLICIT).priority is priority


def test_the_priority_inside_a_sequence_is_not_that_of_the_image(image: Dataset) -> None:
    order = Dataset()
    order.RequestedProcedurePriority = "STAT"
    image.RequestAttributesSequence = [order]
    assert headers.read(encoded(image), EXPLICIT).priority is Priority.ROUTINE


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
def test_a_missing_uid_is_named(image: Dataset, keyword: str) -> None:
    incomplete = copy.deepcopy(image)
    delattr(incomplete, keyword)
    name = pydicom.datadict.dictionary_description(keyword)
    with pytest.raises(HeaderError, match=f"{name} is missing"):
        headers.read(encoded(incomplete), EXPLICIT)


@pytest.mark.parametrize(
    "wrong",
    ["../../etc/passwd", "1.2..3", "1.2.3.", ".1", "1.2.x", "1.2\n.3", "1" * 65, "C:\\1", "١.٢"],
)
def test_a_uid_that_is_none_is_refused(image: Dataset, wrong: str) -> None:
    with pytest.raises(HeaderError, match="SOP Instance UID is no valid UID"):
        headers.read(with_sop_uid(image, wrong.encode()), EXPLICIT)


def test_a_uid_with_leading_zeros_is_taken(image: Dataset) -> None:
    """PS3.5 9.1 forbids it, scanners write it all the same."""
    assert headers.read(with_sop_uid(image, b"1.2.003"), EXPLICIT).sop_uid == "1.2.003"


def with_sop_uid(image: Dataset, value: bytes) -> bytes:
    """The encoded image with other bytes as its SOP Instance UID."""
    value += b"\0" * (len(value) % 2)
    old = str(image.SOPInstanceUID).encode()
    old += b"\0" * (len(old) % 2)
    head = struct.pack("<HH2sH", 8, 0x18, b"UI", len(old))
    assert encoded(image).count(head + old) == 1
    return encoded(image).replace(head + old, head[:6] + struct.pack("<H", len(value)) + value)


def test_a_field_that_appears_twice_is_refused(image: Dataset) -> None:
    second = struct.pack("<HH2sH", 8, 0x18, b"UI", 6) + b"1.2.3\0"
    with pytest.raises(HeaderError, match="twice"):
        headers.read(encoded(image) + second, EXPLICIT)


@pytest.mark.parametrize(
    "syntax",
    [EXPLICIT, DEFLATED, str(uid.ImplicitVRLittleEndian), str(uid.ExplicitVRBigEndian)],
)
def test_wherever_an_image_is_cut_off_it_is_refused(image: Dataset, syntax: str) -> None:
    content = in_syntax(image, syntax)
    for end in range(0, len(content), 3):
        with pytest.raises(HeaderError):
            headers.read(content[:end], syntax)


@pytest.mark.parametrize(
    ("image_type", "maker", "burned_in", "computed"),
    [
        (["ORIGINAL", "PRIMARY"], "Lesion Soft", "NO", False),
        (["DERIVED", "PRIMARY"], "Lesion Soft", "NO", True),
        (["DERIVED", "SECONDARY", "MPR"], "SIEMENS", "NO", False),
        (["DERIVED", "SECONDARY"], "GE MEDICAL SYSTEMS", "YES", True),
        (["DERIVED", "SECONDARY"], "", "", False),
    ],
)
def test_what_other_software_computed_is_told_from_what_a_scanner_made(
    image: Dataset, image_type: list[str], maker: str, burned_in: str, computed: bool
) -> None:
    image.ImageType, image.Manufacturer = image_type, maker
    image.BurnedInAnnotation = burned_in
    assert headers.read(encoded(image), EXPLICIT).computed is computed


def test_an_image_without_pixels_is_refused(image: Dataset) -> None:
    del image.PixelData
    with pytest.raises(HeaderError, match="no pixel data"):
        headers.read(encoded(image), EXPLICIT)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x08", bytes(500), b"GIF89a" * 50, b"DICM" * 50, bytes(range(256)) * 4],
    ids=["nothing", "one byte", "zeros", "a picture", "letters", "all bytes"],
)
@pytest.mark.parametrize("syntax", [EXPLICIT, DEFLATED, str(uid.ImplicitVRLittleEndian)])
def test_other_bytes_are_refused(content: bytes, syntax: str) -> None:
    with pytest.raises(HeaderError):
        headers.read(content, syntax)


def test_zeros_after_the_last_element_are_tolerated(image: Dataset) -> None:
    assert headers.read(encoded(image) + bytes(3), EXPLICIT).sop_uid == image.SOPInstanceUID


def test_sequences_of_undefined_length_are_walked(image: Dataset) -> None:
    order, code = Dataset(), Dataset()
    code.CodeValue = "1"
    order.RequestedProcedureCodeSequence = [code, Dataset()]
    image.RequestAttributesSequence = [order]
    for sequence in (image["RequestAttributesSequence"], order["RequestedProcedureCodeSequence"]):
        sequence.is_undefined_length = True
    order.is_undefined_length_sequence_item = True
    content = encoded(image)
    assert b"\xff\xff\xff\xff" in content
    assert headers.read(content, EXPLICIT).sop_uid == image.SOPInstanceUID


def test_a_private_sequence_of_unknown_vr_is_walked_as_implicit(image: Dataset) -> None:
    inner = struct.pack("<HHI", 0x0009, 0x1001, 4) + b"ABCD"
    unknown = (
        struct.pack("<HH2sHI", 0x0009, 0x1000, b"UN", 0, 0xFFFFFFFF)
        + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
        + inner
        + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
        + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    )
    content = unknown + encoded(image)
    assert headers.read(content, EXPLICIT).sop_uid == image.SOPInstanceUID


def test_a_delimiter_without_a_sequence_is_refused(image: Dataset) -> None:
    with pytest.raises(HeaderError, match="never opened"):
        headers.read(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) + encoded(image), EXPLICIT)


def test_a_deflated_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "INFLATED_LIMIT_BYTES", 10_000)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(bytes(1_000_000)) + packer.flush()
    with pytest.raises(HeaderError, match="too large"):
        headers.read(bomb, DEFLATED)


def test_a_data_set_must_be_what_the_request_said(image: Dataset) -> None:
    header = headers.read(encoded(image), EXPLICIT)
    same = {"sop_class_uid": header.sop_class_uid, "sop_uid": str(header.sop_uid)}
    headers.check_request(header, **same)
    with pytest.raises(HeaderMismatch, match="class"):
        headers.check_request(header, **(same | {"sop_class_uid": str(uid.CTImageStorage)}))
    with pytest.raises(HeaderMismatch, match="Instance"):
        headers.check_request(header, **(same | {"sop_uid": "1.2.3"}))


def test_real_images_of_every_maker_are_read(shared_data: Path) -> None:
    files = [
        file
        for file in sorted((shared_data / "dicom").rglob("*.dcm"))
        if file.name != "1.2.840.10008.1.2.dcm"  # it has no file header
    ]
    assert len(files) > 200
    for file in files:
        meta, offset = split_dataset(file)
        expected = pydicom.dcmread(file, stop_before_pixels=True)
        header = headers.read(file.read_bytes()[offset:], str(meta.TransferSyntaxUID))
        assert header.sop_uid == expected.SOPInstanceUID, file
        assert header.study_uid == expected.StudyInstanceUID, file


def test_a_kept_file_can_be_taken_apart_again(image: Dataset) -> None:
    content = encoded(image)
    header = part10.file_header(
        sop_class_uid=str(image.SOPClassUID),
        sop_uid=str(image.SOPInstanceUID),
        transfer_syntax_uid=EXPLICIT,
        source_ae="SCANNER 1",
    )
    kept = part10.parse(header + content)
    assert (kept.transfer_syntax_uid, kept.source_ae) == (EXPLICIT, "SCANNER 1")
    assert bytes(kept.encoded) == content


@pytest.mark.parametrize("content", [b"", bytes(300), bytes(128) + b"DICM" + bytes(100)])
def test_a_damaged_file_header_is_reported(content: bytes) -> None:
    with pytest.raises(part10.DamagedFile):
        part10.parse(content)


def test_the_digest_depends_on_content_and_syntax_only() -> None:
    assert part10.content_sha256(b"abc", "1.2") == part10.content_sha256(memoryview(b"abc"), "1.2")
    assert part10.content_sha256(b"abc", "1.2") != part10.content_sha256(b"abc", "1.3")
    assert part10.content_sha256(b"abc", "1.2") != part10.content_sha256(b"abd", "1.2")
