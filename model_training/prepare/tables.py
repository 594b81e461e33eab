"""The tables a user may give: which group an image belongs to, which split a subject is in."""

import csv
from collections.abc import Iterable
from pathlib import Path, PurePath

from agent.errors import ConfigurationError
from model_training.collection import Split
from model_training.prepare import names
from model_training.prepare.findings import Candidate, Unusable
from model_training.prepare.kinds import Why

_GROUP_COLUMNS = ("group", "cluster", "patient")
_FILE_COLUMNS = ("path", "file", "image", "filename", "subject")
_SUBJECT_COLUMNS = ("subject", "group", "patient", "participant_id", "file")


def groups(path: Path) -> dict[str, set[str]]:
    """File, or class folder and file, to the groups that a table of `file,group` names for it."""
    rows = _rows(path)
    file, group = _column(rows, _FILE_COLUMNS, path), _column(rows, _GROUP_COLUMNS, path)
    named: dict[str, set[str]] = {}
    for row in rows:
        inside = PurePath(row.get("class") or "") / row[file]
        named.setdefault(inside.as_posix(), set()).add(row[group])
    return named


def group_of(candidate: Candidate, named: dict[str, set[str]]) -> str:
    """The group of an image by its path, the end of its path, or its name.

    Raises Unusable where the table names none or several.
    """
    parts = PurePath(candidate.source).parts
    keys = [PurePath(*parts[start:]).as_posix() for start in range(len(parts))]
    keys += [names.stem_of(parts[-1]), candidate.name]
    found = next((named[key] for key in keys if key in named), set())
    if not found:
        raise Unusable(Why.GROUP, "The table of groups does not name it.")
    if len(found) > 1:
        listed = ", ".join(sorted(found)[:3])
        raise Unusable(Why.GROUP, f"The table of groups names several groups for it: {listed}.")
    return next(iter(found))


def splits(path: Path) -> dict[str, Split]:
    """Subject or group to split. Raises ConfigurationError for a table that says anything else."""
    rows = _rows(path)
    subject, split = _column(rows, _SUBJECT_COLUMNS, path), _column(rows, ("split",), path)
    found: dict[str, Split] = {}
    for row in rows:
        if row[split] not in set(Split):
            raise ConfigurationError(
                f'{path} puts {row[subject]} into the split "{row[split]}", which is none of '
                f"{', '.join(Split)}."
            )
        if found.setdefault(row[subject], Split(row[split])) != row[split]:
            raise ConfigurationError(f"{path} puts {row[subject]} into two splits.")
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows = list(csv.DictReader(handle, restval=""))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as a table: {error}.") from error
    if not rows:
        raise ConfigurationError(f"{path} holds no row under its headings.")
    return rows


def _column(rows: Iterable[dict[str, str]], wanted: tuple[str, ...], path: Path) -> str:
    """The first of the wanted columns that the table has."""
    have = next(iter(rows)).keys()
    for name in wanted:
        if name in have:
            return name
    raise ConfigurationError(f"{path} has no column named {' or '.join(wanted)}.")
