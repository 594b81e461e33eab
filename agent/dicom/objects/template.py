"""What all images of a series say alike, encoded once and copied for each."""

from copy import copy
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset


def encoded_once(stamped: Dataset) -> Dataset:
    """The same data set with its elements encoded, so that a series is not encoded image by image.

    pydicom writes such elements as they are, and decodes one where it is read or where another
    encoding is asked for. What is added later needs a VR that is not ambiguous.
    """
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, stamped)
    parent = BytesIO(buffer.getvalue())
    encoded = read_dataset(parent, is_implicit_VR=False, is_little_endian=True)
    if hasattr(stamped, "file_meta"):
        encoded.file_meta = stamped.file_meta
    return encoded


def copy_of(encoded: Dataset) -> Dataset:
    """An image of its own to go on with, from what `encoded_once` made for the series."""
    made = Dataset(dict(encoded.items()))  # encoded elements are tuples: no image can change them
    made.set_original_encoding(False, True, encoded.original_character_set)
    if hasattr(encoded, "file_meta"):
        meta = {tag: copy(element) for tag, element in encoded.file_meta.items()}
        made.file_meta = FileMetaDataset(meta)
    return made
