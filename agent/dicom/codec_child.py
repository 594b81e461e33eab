"""What the decoding child process runs. See `codec_process`, its parent.

It is run as a file and imports nothing of ours, so that it starts quickly. It waits for one line
with the folder that it is to decode, lowers its own limits before it looks at the first compressed
byte, and ends after the last frame or at the first that it cannot decode.
"""

import contextlib
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

_STATM = Path("/proc/self/statm")
_PAGE_BYTES = 4096
_OWN_BYTES = 1 << 30  # address space of the interpreter, where the system does not tell
_LAST_RESORT = "gdcm"  # aborts on more damaged streams than the others


def main(folder: Path) -> None:
    """Decode the frames that `order.json` lists, one after the other."""
    order = json.loads((folder / "order.json").read_bytes())
    _confine(**order["limits"])
    with (folder / "encoded").open("rb") as encoded, (folder / "decoded").open("wb") as decoded:
        for frame in order["frames"]:
            _decode(encoded.read(frame.pop("length")), decoded, **frame)
            decoded.flush()


def _decode(
    stored: bytes, decoded: BinaryIO, *, syntax: str, value_type: str, **pixels: Any
) -> None:
    """One frame; its values are widened to `value_type`, whatever type its codec chose."""
    decoder = get_decoder(UID(syntax))
    plugin = min(decoder.available_plugins, key=lambda name: name == _LAST_RESORT)
    values, _ = decoder.as_array(
        encapsulate([stored]), index=0, raw=True, decoding_plugin=plugin, **pixels
    )
    if values.shape != (pixels["rows"], pixels["columns"]):
        raise ValueError(f"The decoded pixels are {values.shape}.")
    decoded.write(values.astype(np.dtype(value_type), casting="safe").tobytes())


def _confine(*, memory_bytes: int, cpu_seconds: int, result_bytes: int) -> None:
    """Lower what this process may take; a system without one of the limits goes without it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, limit in (
        (resource.RLIMIT_CORE, 0),  # it would show pixels
        (resource.RLIMIT_FSIZE, result_bytes),
        (resource.RLIMIT_CPU, math.ceil(time.process_time()) + cpu_seconds),
        (resource.RLIMIT_AS, _address_space() + memory_bytes),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (limit, limit))


def _address_space() -> int:
    """Bytes of address space that this process has taken so far."""
    try:
        return int(_STATM.read_text().split()[0]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return _OWN_BYTES


if __name__ == "__main__":
    line = sys.stdin.readline().rstrip("\n")
    if line:  # else its parent has ended, or needs it no more
        main(Path(line))
    os._exit(0)  # everything is written; to take the interpreter down would take a while
