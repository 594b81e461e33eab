"""A patient whose every word is unique, and the search for these words where none may be.

Written as `MARK` in everything that a person types, and as a birth date nobody else has.
"""

import base64
import binascii
import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

import demo_study
from agent.dicom.sender import SendItem
from builders import uid
from reception import saved

MARK = "QZVXK"
BIRTH_DATE = "18770413"
NAME = f"{MARK}name^Canary"
WORDS = (MARK, BIRTH_DATE)
_TYPED = {
    "PatientName": NAME,
    "PatientID": f"{MARK}-7731",
    "OtherPatientIDs": f"{MARK}-other",
    "PatientBirthDate": BIRTH_DATE,
    "PatientAddress": f"{MARK} street",
    "PatientComments": f"{MARK} comment",
    "AdditionalPatientHistory": f"{MARK} history",
    "AccessionNumber": f"{MARK}acc",
    "StudyID": f"{MARK}std",
    "ReferringPhysicianName": f"{MARK}doctor^A",
    "OperatorsName": f"{MARK}operator^A",
    "InstitutionName": f"{MARK} hospital",
    "StationName": f"{MARK}sta",
    "StudyDescription": f"{MARK} study",
    "ProtocolName": f"{MARK} protocol",
    "RequestedProcedureDescription": f"{MARK} asked",
    "ImageComments": f"{MARK} image",
}
_SERIES = f"FLAIR {MARK}"


def study(
    folder: Path, name: str, *, images: int = 100, series: str = _SERIES, **changed: object
) -> list[SendItem]:
    """The demo study as one of that patient, with UIDs of its own; `changed` are header values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of values that are meant to be wrong
        datasets = [_of_patient(path, name, series) for path in demo_study.IMAGES[:images]]
        for dataset in datasets:
            for keyword, value in changed.items():
                setattr(dataset, keyword, value)
        return saved(datasets, folder / name)


def study_uid(name: str) -> str:
    """The UID of the study with that name."""
    return uid("canary", name)


def _of_patient(path: Path, study_name: str, series: str) -> Dataset:
    dataset = dcmread(path)
    for keyword, value in _TYPED.items():
        setattr(dataset, keyword, value)
    dataset.SeriesDescription = series
    block = dataset.private_block(0x0029, "CANARY", create=True)
    block.add_new(0x01, "LO", f"{MARK} private")
    dataset.StudyInstanceUID = study_uid(study_name)
    dataset.SeriesInstanceUID = uid("canary series", study_name)
    dataset.SOPInstanceUID = uid("canary image", study_name, path.name)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def leaks(places: Mapping[str, str | bytes]) -> list[str]:
    """Where one of the words stands, with what is around it."""
    return [
        f"{place}: {_around(content, word.encode())}"
        for place, text in places.items()
        for content in (text.encode() if isinstance(text, str) else text,)
        for word in WORDS
        if word.lower().encode() in content.lower()
    ]


def _around(content: bytes, word: bytes) -> str:
    at = content.lower().index(word.lower())
    return ascii(content[max(0, at - 80) : at + 60].decode("utf-8", "replace"))


def files(folder: Path, *, without: Sequence[str] = ()) -> dict[str, bytes]:
    """Every file under a folder, less some folders at its top."""
    found = (file for file in sorted(folder.rglob("*")) if file.is_file())
    kept = (one for one in found if one.relative_to(folder).parts[0] not in without)
    return {str(file.relative_to(folder)): file.read_bytes() for file in kept}


def database_values(file: Path) -> dict[str, bytes]:
    """Every text of a SQLite database by table and column, the engine's pickles unpacked."""
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            f"{table}.{column}": b"\n".join(_texts(connection, table, column))
            for (table,) in names.fetchall()
            for (_, column, *_) in connection.execute(f'PRAGMA table_info("{table}")').fetchall()
        }


def _texts(connection: sqlite3.Connection, table: str, column: str) -> Iterator[bytes]:
    for (value,) in connection.execute(f'SELECT "{column}" FROM "{table}"'):
        if isinstance(value, bytes):
            yield value
        elif isinstance(value, str):
            yield value.encode()
            if re.fullmatch(r"[A-Za-z0-9+/]{8,}={0,2}", value):
                try:
                    yield base64.b64decode(value, validate=True)
                except binascii.Error:
                    continue
