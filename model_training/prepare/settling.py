"""The splits that were settled before: by a table of the user, or by an earlier collection."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from agent.errors import ConfigurationError
from model_training import collection
from model_training.collection import Split
from model_training.prepare import dealing, names, tables, writing
from model_training.prepare.findings import Candidate
from model_training.prepare.request import Request

SPLIT_FILE = "split.csv"


def table_of(request: Request) -> Path | None:
    """The table that settles splits: the one named, else the `split.csv` of the source."""
    if not request.splits_are_settled:
        return None
    beside = request.source / SPLIT_FILE
    return request.split_file or (beside if beside.is_file() else None)


def by_table(
    table: Path, members: Mapping[str, Iterable[Candidate]]
) -> tuple[dict[str, Split], str]:
    """The split of each group that a table names, by subject, group or file; and a sentence.

    Raises ConfigurationError where it puts parts of one group into different splits.
    """
    said = tables.splits(table)
    settled: dict[str, Split] = {}
    used: set[str] = set()
    for group, candidates in members.items():
        keys = {key for one in candidates for key in _keys(one)} & said.keys()
        used |= keys
        splits = {said[key] for key in keys}
        if len(splits) > 1:
            raise ConfigurationError(
                f"{table} puts {' and '.join(sorted(keys)[:3])} into different splits, but they "
                "belong to one patient or are nearly the same image."
            )
        settled.update({group: splits.pop()} if splits else {})
    unused = len(said) - len(used)
    note = f"{table.name} settles the split of {len(settled)} of {len(members)} groups"
    return settled, f"{note}; {unused} of its rows name nothing here." if unused else f"{note}."


def by_earlier(out: Path, members: Mapping[str, Iterable[Candidate]]) -> dict[str, Split]:
    """The split of each group that the collection standing at `out` knows.

    A patient once seen in test must not come into train because there is more data now.
    """
    if not writing.holds_collection(out):
        return {}
    try:
        known = {member.name: member.split for member in collection.members(out)}
    except ValueError as error:
        raise ConfigurationError(f"The earlier collection cannot be read: {error}") from error
    return {
        group: split
        for group, candidates in members.items()
        if (split := dealing.safest(known[one.name] for one in candidates if one.name in known))
    }


def _keys(candidate: Candidate) -> set[str]:
    source = PurePath(candidate.source)
    stem = names.stem_of(source.name)
    return {candidate.name, candidate.group, source.as_posix(), source.name, stem}
