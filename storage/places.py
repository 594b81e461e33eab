"""Where files lie in a store. Nothing that came from the network ends up in a name."""

import hashlib
import re
from pathlib import PurePosixPath

from storage.errors import StorageError
from storage.records import StudyKey

IMAGES = "images"
RESULTS = "results"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NOT_IN_NAMES = re.compile(r"[\\:\0]")


def of_image(study_uid: str, content_sha256: str) -> str:
    """The place of a received image, by the digest of its content."""
    if not _SHA256.fullmatch(content_sha256):
        raise ValueError("An image is kept under the SHA-256 of its content, in lower-case hex.")
    return f"{of_images(study_uid)}/{content_sha256}.dcm"


def of_images(study_uid: str) -> str:
    """The folder of a study's images."""
    return f"{IMAGES}/{folder_of(study_uid)}"


def of_result(key: StudyKey, name: str) -> str:
    """The place of a result file of a revision."""
    if not _PLAIN_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no plain file name; use letters, digits, '.', '_', '-'.")
    return f"{of_results(key)}/{name}"


def of_results(key: StudyKey) -> str:
    """The folder of a revision's results."""
    study_uid, _, revision = key.rpartition("#")
    if not revision.isdecimal():
        raise ValueError(f"{key!r} is no study key; it should read <study UID>#<revision>.")
    return f"{RESULTS}/{folder_of(study_uid)}/{int(revision)}"


def parts_of(relative: str) -> tuple[str, ...]:
    """The parts of a path inside a store. Raises StorageError for one that may lead out of it."""
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or _NOT_IN_NAMES.search(relative):
        raise StorageError(f"{relative!r} is no path inside the store.")
    return parts


def folder_of(study_uid: str) -> str:
    """The name that stands for a study."""
    return hashlib.sha256(study_uid.encode("utf-8", "replace")).hexdigest()[:32]
