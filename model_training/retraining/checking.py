"""The first stage: somebody's folder becomes a collection of scans that suit, or is refused."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agent import inference
from agent.errors import ConfigurationError
from agent.imaging.volume import Volume
from agent.inference import OnnxModel
from model_training import collection, files
from model_training.collection import Split
from model_training.prepare import dealing, preparation, writing
from model_training.prepare.assembly import Entry
from model_training.prepare.classes import FolderClasses
from model_training.prepare.dealing import Group
from model_training.prepare.findings import Refusal
from model_training.prepare.kinds import Kind, MrSequence
from model_training.prepare.preparation import Outcome
from model_training.prepare.request import Request
from model_training.retraining import scans
from model_training.retraining.order import COLLECTION, Order
from model_training.retraining.scans import Unsuitable
from model_training.retraining.telling import Tell

FEWEST_PATIENTS = 10
SHARES = {Split.TRAIN: 0.6, Split.CALIBRATION: 0.2, Split.TEST: 0.2}
SEED = 0
NAMED = 3  # scans that a sentence names before it counts the rest


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What became of a folder. `taken` and `patients` count what is in the collection; `patients`
    by split; `white_matter` the scans whose white-matter lesions are cut out."""

    kind: str
    taken: int
    patients: dict[str, int]
    white_matter: int
    left_out: tuple[dict[str, str], ...]
    beside: tuple[dict[str, str], ...]
    notes: tuple[str, ...]
    refused: str = ""
    """Why the whole folder is refused, if so."""

    @property
    def sentence(self) -> str:
        """What was taken, for people."""
        patients = sum(self.patients.values())
        said = f"{self.taken} scans of {patients} patients are taken"
        if self.left_out:
            said += f", {len(self.left_out)} are left out"
        if self.white_matter:
            said += f"; white-matter lesions are cut out of {self.white_matter}"
        return f"{said}."


class Refused(ConfigurationError):
    """A folder that cannot be retrained on."""


def check(order: Order, tell: Tell) -> Checked:
    """Read, check and deal a folder, or take up what an earlier start has checked.

    Raises Refused with one sentence; what was taken and what not is in `checked.json` either way.
    """
    if order.checked.is_file():
        found = load(order.checked)
        if not found.refused:
            return found
    tell(0.0, f"Looking through {order.data}.")
    model = inference.load(order.base, provider=inference.Provider.CPU)
    outcome = read(order, model, tell)
    unsuitable, beside = scans.sort_out(outcome.refusals, outcome.entries)
    suited = []
    for number, entry in enumerate(outcome.entries, start=1):
        fault = scans.judge(entry, lambda entry=entry: volume_of(order, entry), model)  # type: ignore[misc]
        if fault is None:
            suited.append(entry)
        else:
            unsuitable.append(fault)
        tell(0.5 + 0.5 * number / len(outcome.entries), "Asking the model whether it reads them.")
    found = replace(
        conclude(outcome, suited, unsuitable, beside),
        refused=why_not(suited, unsuitable, leave_out=order.leave_out),
    )
    if not found.refused:
        deal(order.collections / COLLECTION, suited)
    files.write(order.checked, json.dumps(asdict(found), indent=1) + "\n")
    if found.refused:
        shutil.rmtree(order.collections, ignore_errors=True)
        raise Refused(found.refused)
    return found


def read(order: Order, model: OnnxModel, tell: Tell) -> Outcome:
    """The folder as a prepared collection, everything in it held to be normal."""
    try:
        sequence = MrSequence(model.description.sequence.upper())
    except ValueError as error:
        raise Refused(
            f"The model reads {model.description.sequence}; only models of "
            f"{', '.join(MrSequence)} can be retrained here."
        ) from error
    order.collections.mkdir(parents=True, exist_ok=True)
    request = Request(
        source=order.data,
        out=order.collections / COLLECTION,
        kind=Kind.AUTO,
        sequence=sequence,
        classes=FolderClasses(),
        all_normal=True,
        any_label=True,
        groups_file=None,
        split_file=None,
        shares=(SHARES[Split.TRAIN], SHARES[Split.CALIBRATION], SHARES[Split.TEST]),
        seed=SEED,
        private=order.private,
        white_matter_is_normal=True,
        splits_are_settled=False,  # dealt here, when it is known which scans suit
    )
    return preparation.prepare(
        request, lambda share: tell(0.5 * share, "Reading and copying the scans.")
    )


def volume_of(order: Order, entry: Entry) -> Volume:
    """The volume of an entry, as training will read it."""
    folder = order.collections / COLLECTION
    name = entry.accepted.candidate.name
    member = next(one for one in collection.members(folder) if one.name == name)
    return collection.read(member).volume


def why_not(suited: Sequence[Entry], unsuitable: Sequence[Unsuitable], *, leave_out: bool) -> str:
    """The sentence that refuses a folder; empty where it may be used."""
    patients = len({entry.group for entry in suited})
    needs = (
        f"a retraining needs {FEWEST_PATIENTS}, because some must be learnt from, others set the "
        "threshold, and others be held back to compare the models"
    )
    if unsuitable and not leave_out:
        count = len(unsuitable)
        said = "1 scan does not suit" if count == 1 else f"{count} scans do not suit"
        sentence = f"{said}: {faults(unsuitable)}. Take them out of the folder"
        if patients >= FEWEST_PATIENTS:
            return f"{sentence}, or go on with the {patients} patients that remain: `--leave-out`."
        return f"{sentence}; then scans of {count_of(patients)} remain, and {needs}."
    if patients < FEWEST_PATIENTS:
        there = "once the others are left out" if unsuitable else "in the folder"
        return f"There are tumour-free scans of {count_of(patients)} {there}; {needs}."
    return ""


def faults(unsuitable: Sequence[Unsuitable]) -> str:
    """Each kind of fault with the first scans that have it."""
    parts = []
    for fault, count in Counter(one.fault for one in unsuitable).most_common():
        named = [one.source for one in unsuitable if one.fault is fault][:NAMED]
        more = f" and {count - len(named)} more" if count > len(named) else ""
        parts.append(f"{fault}: {', '.join(named)}{more}")
    return "; ".join(parts)


def count_of(patients: int) -> str:
    """`1 patient`, `3 patients`."""
    return "1 patient" if patients == 1 else f"{patients} patients"


def deal(folder: Path, suited: Sequence[Entry]) -> None:
    """Deals the patients of what suits anew and leaves nothing else in the collection."""
    groups = [
        Group(name=name, size=1, abnormal=False) for name in sorted({one.group for one in suited})
    ]
    dealt = dealing.deal(groups, SHARES, SEED)
    kept = {one.accepted.candidate.name for one in suited}
    for path in folder.iterdir():
        if path.is_dir() and path.name not in kept:
            shutil.rmtree(path)
    rows = [replace(one, split=dealt[one.group]).row for one in suited]
    writing.write_subjects(folder, rows)


def conclude(
    outcome: Outcome,
    suited: Sequence[Entry],
    unsuitable: Sequence[Unsuitable],
    beside: Sequence[Refusal],
) -> Checked:
    """All that is said of a folder."""
    groups = {one.group for one in suited}
    dealt = dealing.deal(
        [Group(name=name, size=1, abnormal=False) for name in sorted(groups)], SHARES, SEED
    )
    return Checked(
        kind=outcome.kind,
        taken=len(suited),
        patients={split: sum(one is split for one in dealt.values()) for split in Split},
        white_matter=sum(one.accepted.lesion_digest is not None for one in suited),
        left_out=tuple(row(one.source, one.fault, one.reason) for one in unsuitable),
        beside=tuple(row(one.source, one.why, one.reason) for one in beside),
        notes=outcome.notes,
    )


def row(source: str, why: str, reason: str) -> dict[str, str]:
    """One line of the table of what is not taken."""
    return {"source": source, "why": why, "reason": reason}


def load(path: Path) -> Checked:
    """What an earlier start has found."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for key in ("left_out", "beside", "notes"):
        values[key] = tuple(values[key])
    return Checked(**values)
