"""Writes an object in the transfer syntax that a destination asks for."""

from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from agent.dicom.objects.profiles import MapValues, Profile, Syntax
from storage.enums import Role

# All lossless. Binary segmentations and float maps have no compressed form that peers read.
_COMPRESSED: Final = {
    Syntax.RLE: RLELossless,
    Syntax.JPEG_LS: JPEGLSLossless,
    Syntax.JPEG_2000: JPEG2000Lossless,
}
_COMPRESSIBLE: Final = frozenset({Role.HEATMAP, Role.PARAMETRIC_MAP, Role.DERIVED_SERIES})


def syntax_of(role: Role, profile: Profile) -> UID:
    """The transfer syntax in which objects of a role go to a destination of a profile."""
    if profile.transfer_syntax is Syntax.IMPLICIT:
        return ImplicitVRLittleEndian
    floats = role is Role.PARAMETRIC_MAP and profile.parametric_map is MapValues.FLOAT32
    if role not in _COMPRESSIBLE or floats:
        return ExplicitVRLittleEndian
    return _COMPRESSED.get(profile.transfer_syntax, ExplicitVRLittleEndian)


def encode(result: Dataset, role: Role, profile: Profile) -> None:
    """Change an object in Explicit VR Little Endian in place; what cannot be compressed stays."""
    wanted = syntax_of(role, profile)
    if wanted.is_compressed:
        result.compress(wanted, generate_instance_uid=False)
    result.file_meta.TransferSyntaxUID = wanted
