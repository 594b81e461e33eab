"""Images that came twice: one of them is kept, and what they belong to stays together."""

from collections.abc import Sequence

from model_training.prepare.clusters import Groups
from model_training.prepare.findings import Accepted, Refusal
from model_training.prepare.kinds import Why


def sort_out(accepted: Sequence[Accepted], groups: Groups) -> tuple[list[Accepted], list[Refusal]]:
    """Each image once, and the refused copies; the groups of copies are joined.

    Of equal images the one with a mask is kept, then the one whose class is known. Where one is
    said to be abnormal and another normal, none is.
    """
    alike: dict[str, list[Accepted]] = {}
    for one in accepted:
        alike.setdefault(one.digest, []).append(one)
    kept, refusals = [], []
    for same in alike.values():
        same.sort(key=_preference)
        if {True, False} <= {one.abnormal for one in same}:
            refusals += [_contradiction(one, same) for one in same]
            continue
        kept.append(same[0])
        refusals += [_copy(one, same[0], groups) for one in same[1:]]
        for one in same[1:]:
            groups.join(one.candidate.group, same[0].candidate.group)
    return sorted(kept, key=lambda one: one.candidate.source), refusals


def _preference(one: Accepted) -> tuple[bool, bool, str]:
    return one.lesion_digest is None, one.abnormal is None, one.candidate.source


def _contradiction(one: Accepted, same: Sequence[Accepted]) -> Refusal:
    other = next(another for another in same if another.abnormal is (not one.abnormal))
    reason = (
        f"Its pixels are those of {other.candidate.source}, but one is said to be abnormal and "
        "the other normal; neither is taken."
    )
    return Refusal(source=one.candidate.source, why=Why.CLASS, reason=reason)


def _copy(one: Accepted, kept: Accepted, groups: Groups) -> Refusal:
    reason = f"Its pixels are those of {kept.candidate.source}, which is taken"
    if one.lesion_digest not in (None, kept.lesion_digest):
        reason += "; its mask differs"
    if groups.of(one.candidate.group) != groups.of(kept.candidate.group):
        both = sorted((one.candidate.group, kept.candidate.group))
        reason += f"; {' and '.join(both)} stay in one split"
    return Refusal(source=one.candidate.source, why=Why.COPY, reason=f"{reason}.")
