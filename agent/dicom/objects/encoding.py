"""Writes an object in the transfer syntax that a destination asks for."""

from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from agent.dicom.objects.profiles import Syntax
from storage.records import Role

# All lossless. Binary segmentations and float maps have no compressed form that peers read.
_COMPRESSED: Final = {
    Syntax.RLE: RLELossless,
    Syntax.JPEG_LS: JPEGLSLossless,
    Syntax.JPEG_2000: JPEG2000Lossless,
}
_COMPRESSIBLE: Final = frozenset({Role.HEATMAP, Role.PARAMETRIC_MAP, Role.DERIVED_SERIES})


def encode(result: Dataset, role: Role, syntax: Syntax) -> None:
    """Change an object in Explicit VR Little Endian in place; what cannot be compressed stays."""
    if syntax is Syntax.IMPLICIT:
        result.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    elif syntax in _COMPRESSED and role in _COMPRESSIBLE and "PixelData" in result:
        wanted: UID = _COMPRESSED[syntax]
        result["PixelData"].VR = "OB" if result.BitsAllocated == 8 else "OW"
        result.compress(wanted, generate_instance_uid=False)
