"""Which scans of a folder suit a retraining, which do not, and which are only other files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from agent import pipeline
from agent.imaging import acceptance, traits
from agent.imaging.results import NotAnalysed, Reason
from agent.imaging.volume import Volume
from agent.inference import OnnxModel
from model_training.prepare import names
from model_training.prepare.assembly import Entry
from model_training.prepare.findings import Refusal
from model_training.prepare.kinds import Why


class Fault(StrEnum):
    """Why a scan does not suit, in the words of the sentence that counts them."""

    TUMOUR = "marked as abnormal"
    SEQUENCE = "of another sequence"
    NO_HEAD = "not axial images of a head"
    UNFAMILIAR = "unlike the images that the model reads"
    DAMAGED = "not readable as a scan"
    KIND = "of another kind of file"


@dataclass(frozen=True, kw_only=True)
class Unsuitable:
    """A scan that must not be learnt from, and why, as one sentence."""

    source: str
    fault: Fault
    reason: str


_FAULTS = {
    Why.OTHER_SEQUENCE: Fault.SEQUENCE,
    Why.NO_SERIES: Fault.SEQUENCE,
    Why.CLASS: Fault.TUMOUR,
    Why.MASK: Fault.TUMOUR,
    Why.OTHER_KIND: Fault.KIND,
    Why.UNREADABLE: Fault.DAMAGED,
    Why.GEOMETRY: Fault.DAMAGED,
    Why.ORIENTATION: Fault.DAMAGED,
    Why.PLANE: Fault.DAMAGED,
    Why.NO_NUMBERS: Fault.DAMAGED,
    Why.CONSTANT: Fault.DAMAGED,
    Why.SMALL: Fault.DAMAGED,
}


def sort_out(
    refusals: Sequence[Refusal], taken: Sequence[Entry]
) -> tuple[list[Unsuitable], list[Refusal]]:
    """What `prepare` refused: scans that do not suit, and files beside the scans that were taken.

    Another series of a study, or another sequence beside the wanted one of the same visit, is no
    scan of its own; a study or visit of which nothing was taken is.
    """
    visits = {visit(entry.accepted.candidate.source) for entry in taken}
    folders = [PurePath(entry.accepted.candidate.source).parent for entry in taken]
    unsuitable, beside = [], []
    for one in refusals:
        folder = PurePath(one.source).parent
        is_beside = one.why not in _FAULTS or (
            one.why is Why.OTHER_SEQUENCE
            and (visit(one.source) in visits or folders.count(folder) == 1)
        )
        if is_beside:
            beside.append(one)
        else:
            unsuitable.append(
                Unsuitable(source=one.source, fault=_FAULTS[one.why], reason=one.reason)
            )
    return unsuitable, beside


def visit(source: str) -> tuple[str, ...]:
    """What two files of one visit have in common: subject and session, else folder and name."""
    path = PurePath(source)
    name = names.parse(path)
    if name.subject is not None:
        return name.subject, name.session or ""
    return path.parent.as_posix(), name.rest


def judge(entry: Entry, read: Callable[[], Volume], model: OnnxModel) -> Unsuitable | None:
    """Why a scan that could be read does not suit, if so."""
    source = entry.accepted.candidate.source
    if entry.accepted.abnormal:
        marked = entry.accepted.lesion_digest is not None
        reason = (
            "Its mask marks something; only a mask named wmh, of white-matter lesions, may."
            if marked
            else "Its folder or the table of participants says that it is abnormal."
        )
        return Unsuitable(source=source, fault=Fault.TUMOUR, reason=reason)
    refused = refusal(read(), model)
    if refused is None:
        return None
    strange = refused.reason is Reason.UNFAMILIAR_IMAGES
    fault = Fault.UNFAMILIAR if strange else Fault.NO_HEAD
    return Unsuitable(source=source, fault=fault, reason=refused.sentence)


def refusal(volume: Volume, model: OnnxModel) -> NotAnalysed | None:
    """Why the model would not read a volume, without asking what it finds."""
    prepared = pipeline.prepare(volume, model)
    if isinstance(prepared, NotAnalysed):
        return prepared
    described = model.description
    sight = traits.look(volume, prepared)
    return acceptance.judge(sight, described.acceptance, sequence=described.sequence).refusal
