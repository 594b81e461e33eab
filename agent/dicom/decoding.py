"""Decode stored pixels, with the codec that can abort a process kept out of ours.

GDCM ends the whole process (`terminate called ...`) on some damaged streams, which no exception
handler can stop: a single bad image would take the worker down again at every retry. Where another
codec is installed it is preferred; where GDCM is the only one (JPEG Lossless), it runs in a child
process, one for all frames of a series. This module is also what that child runs.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, SecondaryCaptureImageStorage

from agent.dicom.frames import DAMAGED, Frame, frame_count

CHILD_SECONDS = 120.0
_UNSAFE = "gdcm"
_PIXEL_DESCRIPTION = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)

Pixels = NDArray[np.generic]


def decode(frames: Sequence[Frame]) -> Iterator[Pixels]:
    """The stored values of each frame, in order; raises one of `DAMAGED` at the first bad one."""
    plugins = [_plugin(frame) for frame in frames]
    unsafe = [frame for frame, plugin in zip(frames, plugins, strict=True) if plugin == _UNSAFE]
    apart = _decode_apart(unsafe) if unsafe else iter(())
    for frame, plugin in zip(frames, plugins, strict=True):
        yield next(apart) if plugin == _UNSAFE else _decode(frame, plugin)


def _plugin(frame: Frame) -> str:
    """The codec to use; empty where none is needed or none is known."""
    try:
        available = get_decoder(_transfer_syntax(frame)).available_plugins
    except DAMAGED:  # pydicom says what is wrong when it is asked to decode
        return ""
    return next(iter(sorted(available, key=lambda name: name == _UNSAFE)), "")


def _transfer_syntax(frame: Frame) -> UID:
    return UID(frame.dataset.file_meta.TransferSyntaxUID)


def _decode(frame: Frame, plugin: str) -> Pixels:
    index = None if frame.number is None else frame.number - 1
    pixels = pixel_array(frame.dataset, index=index, raw=True, decoding_plugin=plugin)
    return np.asarray(pixels)


def _decode_apart(frames: Sequence[Frame]) -> Iterator[Pixels]:
    """Decode in a child process; a frame that it could not decode raises RuntimeError."""
    with TemporaryDirectory(prefix="neurosieve-") as name:
        folder = Path(name)
        for number, frame in enumerate(frames):
            _single(frame).save_as(folder / f"{number}.dcm", enforce_file_format=True)
        command = [sys.executable, "-m", "agent.dicom.decoding", name]
        try:
            subprocess.run(command, capture_output=True, timeout=CHILD_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError("The decoder did not come to an end.") from error
        for number in range(len(frames)):
            result = folder / f"{number}.npy"
            if not result.exists():
                raise RuntimeError(f"The decoder gave up at image {number + 1}.")
            yield np.load(result, allow_pickle=False)


def _single(frame: Frame) -> Dataset:
    """One compressed frame with just what its decoder must know; no patient data."""
    image = Dataset()
    for keyword in _PIXEL_DESCRIPTION:
        setattr(image, keyword, frame.dataset[keyword].value)
    index = 0 if frame.number is None else frame.number - 1
    stored = get_frame(frame.dataset.PixelData, index, number_of_frames=frame_count(frame.dataset))
    image.PixelData = encapsulate([stored])
    image["PixelData"].is_undefined_length = True
    image.SOPClassUID, image.SOPInstanceUID = SecondaryCaptureImageStorage, UID("2.25.0")
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = _transfer_syntax(frame)
    return image


def _decode_folder(folder: Path) -> None:
    """What the child does: every `N.dcm` becomes `N.npy`, up to the first that cannot be read."""
    for path in sorted(folder.glob("*.dcm"), key=lambda path: int(path.stem)):
        pixels = _decode(Frame(dcmread(path)), _UNSAFE)
        np.save(folder / f"{path.stem}.part.npy", pixels)
        (folder / f"{path.stem}.part.npy").rename(folder / f"{path.stem}.npy")


if __name__ == "__main__":
    _decode_folder(Path(sys.argv[1]))
