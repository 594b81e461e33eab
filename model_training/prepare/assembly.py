"""Puts accepted images into groups and groups into splits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model_training.collection import Split
from model_training.prepare import clusters, copies, dealing, settling
from model_training.prepare.clusters import Groups
from model_training.prepare.findings import Accepted, Candidate, Found
from model_training.prepare.request import Request, Shares


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One subject as it stands in the collection."""

    accepted: Accepted
    group: str
    split: Split

    @property
    def row(self) -> tuple[str, ...]:
        """Its line in the table of subjects."""
        one = self.accepted.candidate
        abnormal = {True: "yes", False: "no", None: "unknown"}[self.accepted.abnormal]
        masked = "no" if self.accepted.lesion_digest is None else "yes"
        sequence = one.sequence.value if one.sequence else "unknown"
        return one.name, self.group, self.split.value, abnormal, masked, sequence, one.source


def entries(accepted: Sequence[Accepted], request: Request, found: Found) -> list[Entry]:
    """Each image once, with its group and split, in the order of their sources."""
    groups = Groups(one.candidate.group for one in accepted)
    kept, refusals = copies.sort_out(accepted, groups)
    found.refusals.extend(refusals)
    _join_lookalikes(kept, groups, found)
    by_group: dict[str, list[Accepted]] = {}
    for one in kept:
        by_group.setdefault(groups.of(one.candidate.group), []).append(one)
    # Copies count here: a table may name the copy and not the one that is kept.
    known: dict[str, list[Candidate]] = {name: [] for name in by_group}
    for one in accepted:
        known.get(groups.of(one.candidate.group), []).append(one.candidate)
    settled = _settled(known, request, found)
    dealt = dealing.deal(
        [
            dealing.Group(
                name=name,
                size=len(members),
                abnormal=_abnormal(members),
                split=settled.get(name),
            )
            for name, members in by_group.items()
        ],
        dict(zip(Split, request.shares, strict=True)),
        request.seed,
    )
    found.notes.extend(_empty(dealt.values(), request.shares))
    return [
        Entry(accepted=one, group=group, split=dealt[group])
        for one in kept
        for group in (groups.of(one.candidate.group),)
    ]


def _join_lookalikes(kept: Sequence[Accepted], groups: Groups, found: Found) -> None:
    """Join the groups of images that are nearly the same, where no one said how they belong."""
    compared = [(one, one.thumbnail) for one in kept if one.thumbnail is not None]
    pairs = list(clusters.lookalikes([thumbnail for _, thumbnail in compared]))
    for one, other in pairs:
        groups.join(compared[one][0].candidate.group, compared[other][0].candidate.group)
    if pairs:
        alike = len({place for pair in pairs for place in pair})
        found.notes.append(
            f"{alike} images are nearly the same as another (correlation above "
            f"{clusters.LEAST_CORRELATION:g}, also mirrored) and stay with it in one split."
        )


def _settled(
    known: Mapping[str, Iterable[Candidate]], request: Request, found: Found
) -> dict[str, Split]:
    """What a table or an earlier collection says; the table has the last word."""
    table = settling.table_of(request)
    settled: dict[str, Split] = {}
    if table is not None:
        settled, note = settling.by_table(table, known)
        found.notes.append(note)
    rest = {group: members for group, members in known.items() if group not in settled}
    kept = settling.by_earlier(request.out, rest) if request.splits_are_settled else {}
    if kept:
        found.notes.append(
            f"{len(kept)} groups keep the split that they have in the collection standing there; "
            "write to another place to deal them anew."
        )
    return settled | kept


def _abnormal(members: Iterable[Accepted]) -> bool | None:
    """Whether any is abnormal; None where none is and not all are known."""
    said = {one.abnormal for one in members}
    if True in said:
        return True
    return None if None in said else False


def _empty(splits: Iterable[Split], shares: Shares) -> list[str]:
    used = set(splits)
    empty = [
        split for split, share in zip(Split, shares, strict=True) if share and split not in used
    ]
    return [f"No subject is in {' and '.join(empty)}."] if used and empty else []
