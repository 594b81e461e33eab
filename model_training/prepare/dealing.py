"""Deals groups to splits: by a hash of their name, evenly in each class, whole groups only."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from model_training.collection import Split

_SAFEST_FIRST = (Split.TEST, Split.CALIBRATION, Split.TRAIN)


@dataclass(frozen=True, kw_only=True)
class Group:
    """What must stay in one split. `split` is given where it was settled before."""

    name: str
    size: int
    abnormal: bool | None  # whether any of it is
    split: Split | None = None


def deal(groups: Iterable[Group], shares: Mapping[Split, float], seed: int) -> dict[str, Split]:
    """A split for each group, the same whatever the order of the groups.

    In each class the groups come in the order of the sha256 of seed and name, and each goes where
    most subjects are still missing. Settled groups count, and stay where they are.
    """
    dealt: dict[str, Split] = {}
    listed = list(groups)
    for abnormal in (True, False, None):
        members = [group for group in listed if group.abnormal is abnormal]
        dealt.update(_deal_class(members, shares, seed))
    return dealt


def _deal_class(groups: list[Group], shares: Mapping[Split, float], seed: int) -> dict[str, Split]:
    total = sum(group.size for group in groups)
    missing = {split: share * total for split, share in shares.items()}
    dealt: dict[str, Split] = {}
    settled_first = sorted(groups, key=lambda group: (group.split is None, _key(seed, group.name)))
    for group in settled_first:
        open_splits = [split for split in Split if shares[split] > 0]
        # Rounded, so that equal gaps are equal on every machine.
        split = group.split or max(open_splits, key=lambda split: round(missing[split], 6))
        missing[split] -= group.size
        dealt[group.name] = split
    return dealt


def safest(splits: Iterable[Split]) -> Split | None:
    """The one that a group must go to when its members were in several: test before all others."""
    found = set(splits)
    return next((split for split in _SAFEST_FIRST if split in found), None)


def _key(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
