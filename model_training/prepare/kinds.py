"""The words of the command: what a source holds, which sequence is wanted, why something is not.

Imports nothing heavy, because the command line reads it for its `--help`.
"""

from enum import StrEnum


class Kind(StrEnum):
    """What the files of a source are."""

    AUTO = "auto"
    DICOM = "dicom"
    NIFTI = "nifti"
    IMAGES = "images"


class MrSequence(StrEnum):
    """The MR contrast that a collection holds."""

    FLAIR = "FLAIR"
    T1 = "T1"
    T2 = "T2"


class Why(StrEnum):
    """The kinds of reasons for a refusal, for counting; the sentence beside it says more."""

    OTHER_FILE = "not of this kind"
    OTHER_KIND = "scans of another kind"
    UNREADABLE = "cannot be read"
    NO_SERIES = "no suitable series"
    PASSED_OVER = "series passed over"
    OTHER_SEQUENCE = "another sequence"
    GEOMETRY = "no regular stack"
    ORIENTATION = "orientation missing"
    PLANE = "not axial"
    NO_NUMBERS = "values that are no numbers"
    CONSTANT = "constant image"
    SMALL = "too small"
    MASK = "mask does not fit"
    CLASS = "class unclear"
    GROUP = "group unclear"
    COPY = "copy of another"
