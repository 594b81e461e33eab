"""Compressed pixels: decoded elsewhere, within limits, and whatever happens there stays there."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

import builders
from agent.dicom import codec_child, codec_process, decoding, volumes
from agent.dicom.frames import Frame
from agent.dicom.volumes import UnreadablePixels

LIMIT_SECONDS = 20.0  # also where the machine is busy with other tests
SYNTAXES = (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless)


def compressed(syntax: uid.UID, slices: int = 3, *, size: int = 40) -> list[Dataset]:
    series = builders.flair_series(slices=slices, rows=size, columns=size)
    for image in series:
        image.compress(syntax, generate_instance_uid=False)
    return series


def refusal(series: Sequence[Dataset]) -> str:
    """Why the series was not read; it took no longer than it may."""
    began = time.monotonic()
    with pytest.raises(UnreadablePixels) as refused:
        volumes.load(series)
    assert time.monotonic() - began < LIMIT_SECONDS
    return str(refused.value)


def patched(image: Dataset, marker: bytes, offset: int, value: bytes) -> Dataset:
    """The image with other bytes behind a marker of its compressed stream."""
    (stream,) = generate_frames(image.PixelData, number_of_frames=1)
    at = stream.index(marker) + offset
    image.PixelData = encapsulate([stream[:at] + value + stream[at + len(value) :]])
    return image


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_value_comes_back(syntax: uid.UID) -> None:
    plain = volumes.load(builders.flair_series(slices=3, rows=40, columns=40)).volume.voxels
    assert np.array_equal(volumes.load(compressed(syntax)).volume.voxels, plain)


def test_one_child_decodes_a_series_whatever_its_images_are_compressed_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[Path] = []
    run = codec_process.run

    def counted(folder: Path, *, wall_seconds: float) -> int | None:
        runs.append(folder)
        return run(folder, wall_seconds=wall_seconds)

    monkeypatch.setattr(codec_process, "run", counted)
    series = builders.flair_series(slices=4, rows=40, columns=40)
    plain = volumes.load(series).volume.voxels
    assert runs == []
    for image, syntax in zip(series, SYNTAXES, strict=False):  # the last one stays as it is
        image.compress(syntax, generate_instance_uid=False)
    assert np.array_equal(volumes.load(series).volume.voxels, plain)
    assert len(runs) == 1


def test_negative_values_keep_their_sign() -> None:
    (image,) = builders.flair_series(slices=1, rows=40, columns=40)
    stored = np.arange(1600, dtype=np.int16).reshape(40, 40) - 800
    image.PixelRepresentation, image.BitsStored, image.HighBit = 1, 16, 15
    image.PixelData = stored.tobytes()
    image.compress(uid.RLELossless, generate_instance_uid=False)
    (values,) = decoding.decode([Frame(image)])
    assert np.array_equal(values, stored)


def test_a_jpeg_2000_stream_that_claims_another_size_takes_neither_time_nor_memory() -> None:
    """SIZ (ISO 15444-1 A.5.1): Xsiz and Ysiz stand six bytes behind the marker."""
    huge = struct.pack(">II", 60_000, 60_000)
    series = [patched(image, b"\xff\x51", 6, huge) for image in compressed(uid.JPEG2000Lossless)]
    assert "JPEG 2000" in refusal(series)


def test_a_jpeg_ls_stream_that_claims_another_size_takes_neither_time_nor_memory() -> None:
    """SOF55 (ISO 14495-1 C.2.2): height and width stand five bytes behind the marker."""
    huge = struct.pack(">HH", 65_535, 65_535)
    series = [patched(image, b"\xff\xf7", 5, huge) for image in compressed(uid.JPEGLSLossless)]
    assert "JPEG-LS" in refusal(series)


@pytest.mark.parametrize("syntax", [*SYNTAXES, uid.JPEGLosslessSV1, uid.HTJ2KLossless])
def test_a_stream_of_nonsense_is_refused_by_the_name_of_its_syntax(syntax: uid.UID) -> None:
    series = compressed(uid.RLELossless)
    noise = np.random.default_rng(0)
    for image in series:
        image.file_meta.TransferSyntaxUID = syntax
        image.PixelData = encapsulate([noise.bytes(600)])
    assert syntax.name in refusal(series)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Rows": 65_535, "Columns": 65_535}, "more than can be read"),
        ({"Rows": 8192, "Columns": 8192}, "more than can be read"),
        ({"NumberOfFrames": 23_284}, "announces 23284 frames"),
        ({"BitsAllocated": 64}, "no depth"),
        ({"BitsStored": 65_535}, "no depth"),
        ({"SamplesPerPixel": 3}, "not a grey-scale image"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "not a grey-scale image"),
    ],
)
def test_what_an_image_announces_is_judged_before_a_child_is_started(
    changes: dict[str, object], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec_process, "run", None)
    (image,) = compressed(uid.JPEG2000Lossless, 1)
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    with pytest.raises((UnreadablePixels, volumes.BadGeometry), match=why):
        volumes.load([image])


def test_an_enhanced_image_must_hold_the_frames_it_announces() -> None:
    image = builders.enhanced_flair(slices=3, rows=40, columns=40)
    image.compress(uid.RLELossless, generate_instance_uid=False)
    frames = list(generate_frames(image.PixelData, number_of_frames=3))
    image.PixelData = encapsulate(frames[:2])
    assert "not as many frames" in refusal([image])


def test_an_enhanced_image_that_is_cut_off_says_how_much_is_missing() -> None:
    image = builders.enhanced_flair(slices=3, rows=40, columns=40)
    image.PixelData = image.PixelData[:-2]
    assert "9600 bytes of pixels are announced, 9598 are there" in refusal([image])


CONFINED = """
import json, resource, runpy, sys
confine = runpy.run_path(sys.argv[1])["_confine"]
confine(memory_bytes=64 << 20, cpu_seconds=1, result_bytes=1000)
{act}
"""


def confined(act: str) -> subprocess.CompletedProcess[str]:
    """What a codec that does this would come to."""
    command = [sys.executable, "-P", "-c", CONFINED.format(act=act), str(codec_child.__file__)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems lack some of the limits")
def test_the_child_has_little_memory_and_time_and_leaves_no_core(tmp_path: Path) -> None:
    assert "MemoryError" in confined("bytearray(256 << 20)").stderr
    assert confined("while True: pass").returncode == -signal.SIGKILL
    cores = confined("print(json.dumps(resource.getrlimit(resource.RLIMIT_CORE)))").stdout
    assert json.loads(cores) == [0, 0]
    full = confined(f"open({str(tmp_path / 'out')!r}, 'wb', 0).write(bytes(5000)); 1 / 0")
    assert full.returncode != 0
    assert (tmp_path / "out").stat().st_size == 1000


@pytest.mark.parametrize(
    ("act", "factor", "why"),
    [
        ("import os; os.abort()", 10.0, "damaged or the codec is missing"),
        ("import time; time.sleep(600)", 0.3, "too much time"),
    ],
)
def test_a_child_that_dies_or_hangs_gives_a_reason(
    act: str, factor: float, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "child.py"
    script.write_text(act)
    monkeypatch.setattr(codec_child, "__file__", str(script))
    monkeypatch.setattr(decoding, "WALL_FACTOR", factor)
    assert why in refusal(compressed(uid.RLELossless))


def test_the_child_learns_nothing_of_the_patient() -> None:
    (image,) = compressed(uid.RLELossless, 1)
    told = json.dumps(decoding._order(Frame(image)))
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "SOPInstanceUID"):
        assert str(image[keyword].value) not in told


def waiting() -> int:
    """The process id of the child that waits."""
    (child,) = codec_process._waiting
    return child.pid


def test_each_series_has_a_child_of_its_own_that_waited_for_it() -> None:
    series = compressed(uid.RLELossless)
    volumes.load(series)
    first = waiting()
    volumes.load(series)
    assert waiting() != first
    with pytest.raises(ProcessLookupError):  # it has decoded one series and ended
        os.kill(first, 0)


def test_a_child_that_died_while_it_waited_is_no_fault_of_the_series() -> None:
    series = compressed(uid.RLELossless)
    volumes.load(series)
    child = codec_process._waiting[0]
    child.kill()
    child.wait()
    volumes.load(series)
    assert waiting() != child.pid


def test_the_child_that_waits_ends_with_its_parent() -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os; from agent.dicom import codec_process as one; one._prepare(); "
            "print(one._waiting[0].pid, flush=True); os._exit(0)",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    pid = int(ended.stdout)
    end = time.monotonic() + LIMIT_SECONDS
    while _lives(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    """Whether it runs; one that nobody has asked for its end does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
