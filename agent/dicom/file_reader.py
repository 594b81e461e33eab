"""Read a DICOM file from wherever it came; whatever is wrong with it becomes one sentence.

UnreadableInput
 └── NotDicom   the file is of another kind
"""

from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from agent.dicom import elements
from agent.dicom.frames import DAMAGED
from agent.errors import UnreadableInput

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_MAXIMUM_CHARACTER_SETS = 16  # each text is tried in each of them; three are many
_PREFIX_END = 132  # of preamble and prefix (PS3.10 7.1)


class NotDicom(UnreadableInput):
    """The file is no DICOM file."""


def read(path: Path, *, pixels: bool = True, only: Sequence[str] = ()) -> Dataset:
    """The data set of a file; without `pixels` only what stands in front of them.

    Where `only` names keywords no other element is read, which is several times as fast.

    What the preamble holds is of no interest (PS3.10 7.1): it is never looked at and never written
    again. Raises UnreadableInput with a sentence that names the file and no value in it.
    """
    try:
        _check_inflation(path)
        dataset = dcmread(path, stop_before_pixels=not pixels, specific_tags=list(only) or None)
        _check_texts(dataset)
        return dataset
    except InvalidDicomError as error:
        raise NotDicom(f"{path.name} is not a DICOM file.") from error
    except elements.DamagedEncoding as error:
        raise UnreadableInput(f"{path.name} is damaged. {error}") from error
    except OSError as error:
        raise UnreadableInput(f"{path.name} cannot be opened: {error.strerror}.") from error
    except DAMAGED as error:  # too deep a sequence is among them, as RecursionError
        raise UnreadableInput(f"{path.name} is damaged and cannot be read as DICOM.") from error


def _check_texts(dataset: Dataset) -> None:
    """Refuse what the front door refuses as well: everybody takes these for short texts."""
    for keyword in _UIDS:
        if not isinstance(dataset.get(keyword, ""), str | None):
            raise ValueError(f"{keyword} is no text.")
    sets = dataset.get("SpecificCharacterSet")
    if isinstance(sets, MultiValue) and len(sets) > _MAXIMUM_CHARACTER_SETS:
        raise ValueError("There are too many character sets.")


def _check_inflation(path: Path) -> None:
    """Refuse a deflated data set that would fill the memory, for pydicom inflates without limit."""
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    start = _PREFIX_END + 12 + meta.FileMetaInformationGroupLength
    with path.open("rb") as file, elements.inflated(file.read()[start:]):
        pass
