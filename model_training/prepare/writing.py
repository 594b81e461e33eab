"""Writes a prepared collection beside its place and moves it there when it is whole."""

import csv
import gzip
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import readers
from agent.errors import ConfigurationError
from agent.imaging.volume import Volume
from model_training import collection
from model_training.prepare.findings import Refusal

_INTEGERS = (np.uint8, np.int16, np.uint16, np.int32)


def begin(out: Path) -> Path:
    """An empty folder beside `out`. Raises ConfigurationError where `out` holds something else."""
    if out.exists() and not _is_ours(out):
        raise ConfigurationError(f"{out} exists and is no prepared collection; name another place.")
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a run that was stopped
    part.mkdir(parents=True)
    return part


def holds_collection(out: Path) -> bool:
    """Whether a prepared collection stands there."""
    return (out / collection.SUBJECTS_FILE).is_file()


def finish(part: Path, out: Path) -> None:
    """Put the finished folder in its place, instead of an earlier one."""
    old = out.with_name(f"{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    part.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def write_image(path: Path, volume: Volume) -> None:
    """A volume as compressed NIfTI, whole numbers as whole numbers; equal volumes, equal bytes."""
    _write(path, _compact(volume.voxels), volume)


def write_mask(path: Path, mask: NDArray[np.bool_], volume: Volume) -> None:
    """A mask on the grid of its volume."""
    _write(path, mask, volume)


def write_subjects(folder: Path, rows: Iterable[Iterable[str]]) -> None:
    """The table of subjects, in the columns of `collection.COLUMNS`."""
    _write_table(folder / collection.SUBJECTS_FILE, collection.COLUMNS, rows)


def write_refused(folder: Path, refusals: Iterable[Refusal]) -> None:
    """The table of what is not in the collection."""
    rows = ((refusal.source, refusal.reason) for refusal in refusals)
    _write_table(folder / collection.REFUSED_FILE, ("source", "reason"), rows)


def _is_ours(out: Path) -> bool:
    """A collection, the refusals of one that came to nothing, or an empty folder."""
    if not out.is_dir():
        return False
    names = {path.name for path in out.iterdir()}
    return holds_collection(out) or names <= {collection.REFUSED_FILE}


def _compact(voxels: NDArray[np.float32]) -> NDArray[np.generic]:
    """The voxels in the smallest integers that hold them all, or as they are."""
    if not (voxels == np.rint(voxels)).all():
        return voxels
    low, high = float(voxels.min()), float(voxels.max())
    for kind in _INTEGERS:
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return voxels.astype(kind)
    return voxels


def _write(path: Path, array: NDArray[np.generic], volume: Volume) -> None:
    path.parent.mkdir(exist_ok=True)
    content = readers.to_nifti(array, volume).to_bytes()
    with (
        path.open("wb") as file,
        gzip.GzipFile(fileobj=file, filename="", mode="wb", compresslevel=6, mtime=0) as packed,
    ):
        packed.write(content)


def _write_table(path: Path, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
