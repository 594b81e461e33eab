"""Short MR series as encoded data sets, in every encoding that is accepted and can be made here."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import uid
from pydicom.dataset import Dataset

import builders
import reception


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A data set as it stands on the wire or in a file behind its header."""

    content: bytes
    syntax: str

    @property
    def implicit(self) -> bool:
        return self.syntax == uid.ImplicitVRLittleEndian

    @property
    def order(self) -> str:
        return ">" if self.syntax == uid.ExplicitVRBigEndian else "<"


def every_series() -> list[list[Encoded]]:
    """Three slices each, classic and enhanced; the first series is of the bundled study."""
    with tempfile.TemporaryDirectory() as name:
        return _made(Path(name))


def _made(folder: Path) -> list[list[Encoded]]:
    bundled = Path(__file__).parents[1] / "agent" / "demo" / "study"
    made: list[list[Dataset]] = [[*map(pydicom.dcmread, sorted(bundled.glob("*.dcm"))[:3])]]
    for syntax in (
        uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ):  # fmt: skip
        made += [_in(syntax, _classic()), _in(syntax, [_enhanced()])]
    for syntax in (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless):
        made += [_compressed(syntax, _classic()), _compressed(syntax, [_enhanced()])]
    made.append([_jpeg_lossless(image, folder) for image in _classic()])
    return [[encoded(image) for image in series] for series in made]


def _classic() -> list[Dataset]:
    return builders.flair_series(slices=3, rows=40, columns=40)


def _enhanced() -> Dataset:
    return builders.enhanced_flair(slices=3, rows=40, columns=40)


def _in(syntax: uid.UID, series: list[Dataset]) -> list[Dataset]:
    for image in series:
        image.file_meta.TransferSyntaxUID = syntax
        if syntax == uid.ExplicitVRBigEndian:
            image.PixelData = image.pixel_array.astype(">u2").tobytes()
    return series


def _compressed(syntax: uid.UID, series: list[Dataset]) -> list[Dataset]:
    for image in series:
        image.compress(syntax, generate_instance_uid=False)
    return series


def _jpeg_lossless(image: Dataset, folder: Path) -> Dataset:
    plain, packed = folder / "plain.dcm", folder / "packed.dcm"
    image.save_as(plain, enforce_file_format=True)
    subprocess.run(["dcmcjpeg", "+e1", "+un", plain, packed], check=True, timeout=60)
    return pydicom.dcmread(packed)


def encoded(image: Dataset) -> Encoded:
    """A data set in the transfer syntax that its file meta names."""
    return Encoded(content=reception.encoded(image), syntax=str(image.file_meta.TransferSyntaxUID))
