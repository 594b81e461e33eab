"""From a source to a prepared collection: find, read, check, join, deal, write."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.errors import UnreadableInput
from model_training.collection import IMAGE_FILE, LESION_FILE
from model_training.prepare import assembly, checks, clusters, names, sources, tables, writing
from model_training.prepare.assembly import Entry
from model_training.prepare.findings import Accepted, Candidate, Found, Refusal, Unusable
from model_training.prepare.kinds import Kind, Why
from model_training.prepare.request import Request


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a source; `entries` is empty where nothing in it can be used."""

    kind: Kind
    entries: tuple[Entry, ...]
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...]


def prepare(request: Request, progress: Callable[[float], None]) -> Outcome:
    """Write the collection of a source, in place of an earlier one.

    An earlier collection stays where nothing of the source can be used. Raises AgentError for a
    source or tables that cannot be read at all, OSError when the disk fails.
    """
    listed = sources.listing(request)
    part = writing.begin(request.out)
    try:
        outcome = _fill(part, listed, request, progress)
        if outcome.entries or not writing.holds_collection(request.out):
            writing.finish(part, request.out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return outcome


def _fill(
    part: Path, listed: sources.Listing, request: Request, progress: Callable[[float], None]
) -> Outcome:
    found = sources.find(listed, request)
    candidates = _grouped(_named(found.candidates), request.groups_file, found)
    accepted = []
    for number, candidate in enumerate(candidates, start=1):
        try:
            accepted.append(_accept(candidate, listed.kind, part, request))
        except (UnreadableInput, Unusable) as problem:
            why = problem.why if isinstance(problem, Unusable) else Why.UNREADABLE
            found.refuse(candidate.source, why, str(problem))
        progress(number / len(candidates))
    entries = assembly.entries(accepted, request, found)
    kept = {entry.accepted.candidate.name for entry in entries}
    for one in accepted:
        if one.candidate.name not in kept:
            shutil.rmtree(part / one.candidate.name)
    refusals = sorted(found.refusals, key=lambda refusal: (refusal.source, refusal.reason))
    if entries:
        writing.write_subjects(part, (entry.row for entry in entries))
    writing.write_refused(part, refusals)
    return Outcome(
        kind=listed.kind,
        entries=tuple(entries),
        refusals=tuple(refusals),
        notes=tuple(found.notes),
    )


def _named(candidates: Sequence[Candidate]) -> list[Candidate]:
    short = [one.name for one in candidates]
    long = [names.stem_of(one.source) for one in candidates]
    return [
        replace(one, name=name)
        for one, name in zip(candidates, names.unique(short, long), strict=True)
    ]


def _grouped(candidates: Sequence[Candidate], table: Path | None, found: Found) -> list[Candidate]:
    """Candidates in the groups that a table gives them, if there is one."""
    if table is None:
        return list(candidates)
    named = tables.groups(table)
    kept = []
    for one in candidates:
        try:
            group = tables.group_of(one, named)
        except Unusable as problem:
            found.refuse(one.source, problem.why, str(problem))
        else:
            kept.append(replace(one, group=group, find_lookalikes=False))
    return kept


def _accept(candidate: Candidate, kind: Kind, part: Path, request: Request) -> Accepted:
    """Read, check and write one image. Raises UnreadableInput or Unusable, nothing written."""
    volume, mask = sources.read(candidate, kind)
    checks.image(volume)
    lesion = checks.lesion(mask, volume, any_label=request.any_label) if mask else None
    lets_be = request.white_matter_is_normal and _marks_white_matter(candidate)
    abnormal = checks.abnormality(candidate.abnormal, None if lets_be else lesion)
    folder = part / candidate.name
    writing.write_image(folder / IMAGE_FILE, volume)
    if lesion is not None:
        writing.write_mask(folder / LESION_FILE, lesion, volume)
    return Accepted(
        candidate=candidate,
        abnormal=False if abnormal is None and request.all_normal else abnormal,
        digest=_digest(volume.voxels),
        lesion_digest=None if lesion is None else _digest(lesion),
        thumbnail=clusters.thumbnail(volume) if candidate.find_lookalikes else None,
    )


def _marks_white_matter(candidate: Candidate) -> bool:
    return candidate.mask is not None and names.parse(candidate.mask).white_matter


def _digest(array: NDArray[np.generic]) -> str:
    content = np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(str(array.shape).encode() + content).hexdigest()
