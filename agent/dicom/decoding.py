"""Stored pixels as numbers; what is compressed is decoded in a child process that can be killed.

Codecs are written in C and C++. On damaged data one ends its process, one does not end at all, one
takes all memory, and no exception handler can stop that. So a series with compressed images gets
one child for all its frames, with limits on time, memory and output that follow from the size
which the headers announce. Uncompressed pixels need no codec and stay here. `codec_process` starts
it, `codec_child` is what it runs.
"""

import json
import signal
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from agent.dicom import codec_process
from agent.dicom.frames import Frame, frame_count

BASE_MEMORY_BYTES = 96 << 20
MEMORY_BYTES_A_PIXEL = 48  # three times what the greediest codec took of an image
BASE_CPU_SECONDS = 3
PIXELS_A_CPU_SECOND = 500_000  # a tenth of what the slowest codec decodes on a slow processor
WALL_FACTOR = 20  # how much longer than its processor time a child may take on a busy machine
_NARROW, _WIDE = "<i4", "<i8"  # hold each value of up to 16 and up to 32 bits, with or without sign
DAMAGED_OR_NO_CODEC = "the data are damaged or the codec is missing"
_STOPPED = "the decoder was stopped, because it took too much time or memory"

Pixels = NDArray[np.generic]


class DecodingFailed(RuntimeError):
    """The pixels could not be decoded; the text says why, without a capital and a stop."""


def decode(frames: Sequence[Frame]) -> Iterator[Pixels]:
    """The stored values of each frame `[row, column]`, in order.

    Raises `DecodingFailed`, or another of `DAMAGED`, at the first bad one.
    """
    compressed = [frame for frame in frames if _syntax(frame).is_encapsulated]
    apart = _decode_apart(compressed) if compressed else iter(())
    for frame in frames:
        yield next(apart) if _syntax(frame).is_encapsulated else _as_stored(frame)


def _syntax(frame: Frame) -> UID:
    return UID(frame.dataset.file_meta.TransferSyntaxUID)


def _as_stored(frame: Frame) -> Pixels:
    index = None if frame.number is None else frame.number - 1
    return np.asarray(pixel_array(frame.dataset, index=index, raw=True))


def _decode_apart(frames: Sequence[Frame]) -> Iterator[Pixels]:
    """Decode in a child process, then read what it left, frame by frame."""
    orders = [_order(frame) for frame in frames]
    with TemporaryDirectory(prefix="neurosieve-") as name:
        folder = Path(name)
        _write_encoded(folder / "encoded", frames, orders)
        limits = _limits(orders)
        content = json.dumps({"frames": orders, "limits": limits})
        (folder / "order.json").write_text(content, encoding="ascii")
        why = _run(folder, limits["cpu_seconds"])
        with (folder / "decoded").open("ab+") as decoded:
            decoded.seek(0)
            for order in orders:
                values = decoded.read(_result_bytes(order))
                if len(values) != _result_bytes(order):
                    raise DecodingFailed(why)
                shape = order["rows"], order["columns"]
                yield np.frombuffer(values, order["value_type"]).reshape(shape)


def _order(frame: Frame) -> dict[str, Any]:
    """What the codec must know of a frame: numbers and no patient data. `length` is to follow."""
    bits = _number(frame, "BitsAllocated")
    return {
        "syntax": str(_syntax(frame)),
        "value_type": _NARROW if bits <= 16 else _WIDE,
        "rows": _number(frame, "Rows"),
        "columns": _number(frame, "Columns"),
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "bits_allocated": bits,
        "bits_stored": _number(frame, "BitsStored"),
        "pixel_representation": _number(frame, "PixelRepresentation"),
        "photometric_interpretation": frame.text("PhotometricInterpretation"),
        "pixel_keyword": "PixelData",
    }


def _number(frame: Frame, keyword: str) -> int:
    value = frame.number_of(keyword)
    if value is None:
        raise DecodingFailed(f"{keyword} is missing or damaged")
    return int(value)


def _write_encoded(path: Path, frames: Sequence[Frame], orders: Sequence[dict[str, Any]]) -> None:
    """The compressed frames, one behind the other; the length of each goes into its order."""
    opened: Dataset | None = None
    stored: list[bytes] = []
    with path.open("wb") as file:
        for frame, order in zip(frames, orders, strict=True):
            if frame.dataset is not opened:
                opened, stored = frame.dataset, _stored(frame.dataset)
            part = stored[0 if frame.number is None else frame.number - 1]
            order["length"] = file.write(part)


def _stored(dataset: Dataset) -> list[bytes]:
    """The compressed frames of an image (PS3.5 A.4)."""
    announced = frame_count(dataset)
    table = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    found = generate_frames(
        dataset.PixelData,
        number_of_frames=announced,
        extended_offsets=table if all(table) else None,
    )
    stored = list(islice(found, max(0, announced) + 1))
    if len(stored) != announced:
        raise DecodingFailed(f"not as many frames are there as are announced ({announced})")
    return stored


def _limits(orders: Sequence[dict[str, Any]]) -> dict[str, int]:
    sizes = [order["rows"] * order["columns"] for order in orders]
    return {
        "memory_bytes": BASE_MEMORY_BYTES + MEMORY_BYTES_A_PIXEL * max(sizes),
        "cpu_seconds": BASE_CPU_SECONDS + sum(sizes) // PIXELS_A_CPU_SECOND,
        "result_bytes": sum(map(_result_bytes, orders)),
    }


def _result_bytes(order: dict[str, Any]) -> int:
    return int(order["rows"] * order["columns"] * np.dtype(order["value_type"]).itemsize)


def _run(folder: Path, cpu_seconds: int) -> str:
    """Run the child to its end; what to say if its result is not whole."""
    code = codec_process.run(folder, wall_seconds=WALL_FACTOR * cpu_seconds)
    return _STOPPED if code in (None, -signal.SIGKILL) else DAMAGED_OR_NO_CODEC
