"""The transfer syntaxes we accept: those whose pixels can be decoded here."""

from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

# The acceptor's order decides when a peer offers several syntaxes in one context: first those
# that every sender can really produce, lossy ones after lossless ones, the retired one last.
_PREFERENCE = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.RLELossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.DeflatedExplicitVRLittleEndian,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
    uid.JPEGBaseline8Bit,
    uid.ExplicitVRBigEndian,
)
"""JPEG Extended is left out: the decoders at hand read its 8-bit form only, and MR has 12."""


def decodable() -> tuple[str, ...]:
    """The transfer syntaxes for which a decoder is installed, in order of preference."""
    return tuple(str(syntax) for syntax in _PREFERENCE if get_decoder(syntax).is_available)
