"""Reads a stored study once more and says what comes out otherwise; nothing is changed.

On a CPU the same input, model, thresholds and code give the same bytes. What a GPU read before is
compared with the CPU's answer within `GPU_TOLERANCE`: a GPU adds in another order and may round
products to 10 bits (TF32), so p-values, lesions and the kept maps are then left out.
"""

import hashlib
import math
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent import examination
from agent.dicom import part10
from agent.dicom.series import SeriesRules
from agent.errors import ConfigurationError, UnreadableInput
from agent.imaging import archive
from agent.imaging.results import Findings, NotAnalysed, Reason
from agent.inference import AnomalyModel
from agent.models_in_use import Models
from agent.steps import FINDINGS_FILE
from storage import results, retention, studies
from storage.database import Database
from storage.errors import NotFound
from storage.records import Analysis, Instance, Lesion, Study, StudyKey
from storage.store import Store

GPU_TOLERANCE = 0.05  # of a score, as a share of it, or absolute for scores below 1
_GPU = "CUDAExecutionProvider"
_NOTHING_TO_REPLAY = (Reason.TECHNICAL_FAILURE, Reason.DRIFTED_SCANNER)
_ALWAYS = ("outcome", "reason_code", "reason", "series_uid", "scanner", "model_sha256")
_SCORES = ("study_score", "slice_scores")
_EXACT = ("study_p_value", "slice_p_values", "pattern", "symmetry", "near_ventricle")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not as it was."""

    what: str
    before: str
    now: str


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What was compared; `tolerance` is None where every bit was."""

    before: Analysis
    runtime: str | None  # None where the inputs have changed, and nothing was computed
    tolerance: float | None
    differences: tuple[Difference, ...]


def replay(
    key: StudyKey, *, database: Database, store: Store, models: Models, rules: SeriesRules
) -> Replayed:
    """Read a study again with the model and the thresholds that made its analysis.

    Raises NotFound where there is no analysis, and ConfigurationError where it has nothing to
    replay or what made it is not here any more.
    """
    with database.read() as session:
        study = studies.get(session, key)
        before = results.analysis_of(session, key)
        lesions = results.lesions_of(session, key)
        inputs = studies.instances_of(session, key)
        removed_at = studies.images_removed_at(session, key)
        maps_are_here = retention.results_removed_at(session, key) is None
    if before is None:
        raise NotFound(f"Study {key} is {study.state} and was not analysed yet.")
    if before.reason_code in _NOTHING_TO_REPLAY:
        raise ConfigurationError(f"No model has read {key}: {before.reason}")
    if removed_at is not None:
        raise ConfigurationError(
            f"The images of {key} were removed by retention on {removed_at:%Y-%m-%d}: there is "
            "nothing to replay."
        )
    tolerance = GPU_TOLERANCE if _GPU in before.runtime else None
    changed = tuple(_changed_inputs(key, store, inputs, before))
    if changed:
        return Replayed(before=before, runtime=None, tolerance=tolerance, differences=changed)
    model = _that_read(models, study, before)
    reading = examination.read(store.paths_of(one.path for one in inputs), rules)
    result = examination.examine(reading, model).result
    after = examination.record(
        reading, result, model, input_sha256=before.input_sha256, created_at=before.created_at
    )
    found = examination.lesions(reading.study_uid, result, after, uuid.NAMESPACE_OID)
    differences = [*_changed_values(before, after, tolerance)]
    if tolerance is None:
        differences += _changed_lesions(lesions, found)
        differences += _changed_archive(store, key, result) if maps_are_here else ()
    return Replayed(
        before=before,
        runtime=model.runtime,
        tolerance=tolerance,
        differences=tuple(differences),
    )


def _that_read(models: Models, study: Study, before: Analysis) -> AnomalyModel:
    if study.model_folder is None:
        return models.that_read(before)
    model = models(study.model_folder)
    described = model.description
    now = (described.digest, described.thresholds.version)
    if now != (before.model_sha256, before.threshold_version):
        raise ConfigurationError(
            f"{study.model_folder} holds another model or other thresholds than those that read "
            f"{study.key}."
        )
    return model


def _changed_inputs(
    key: StudyKey, store: Store, inputs: Sequence[Instance], before: Analysis
) -> Iterator[Difference]:
    for one in inputs:
        digest = _content(store, one)
        if digest != one.content_sha256:
            yield Difference(what=f"stored image {one.path}", before=one.content_sha256, now=digest)
    digest = examination.input_digest(key, inputs)
    if digest != before.input_sha256:
        yield Difference(what="set of images", before=before.input_sha256, now=digest)


def _content(store: Store, one: Instance) -> str:
    """The digest of what is stored, or why it has none."""
    try:
        received = part10.parse(store.read(one.path))
    except NotFound:
        return "missing"
    except UnreadableInput:
        return "damaged"
    return part10.content_sha256(received.encoded, received.transfer_syntax_uid)


def _changed_values(
    before: Analysis, after: Analysis, tolerance: float | None
) -> Iterator[Difference]:
    for name in (*_ALWAYS, *_SCORES, *(() if tolerance else _EXACT)):
        old, new = getattr(before, name), getattr(after, name)
        if name == "scanner" and old is None:
            continue  # not kept by earlier versions
        if name in _SCORES and tolerance is not None and _close(old, new, tolerance):
            continue
        if repr(old) != repr(new):  # every bit of a float, and NaN like NaN
            yield Difference(what=name.replace("_", " "), **_shown(old, new))


def _close(old: object, new: object, tolerance: float) -> bool:
    ones, others = (value if isinstance(value, tuple) else (value,) for value in (old, new))
    return len(ones) == len(others) and all(
        isinstance(one, float)
        and isinstance(other, float)
        and math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
        for one, other in zip(ones, others, strict=True)
    )


def _shown(old: object, new: object) -> dict[str, str]:
    """Both values; of two rows of numbers where they first part."""
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        apart = [n for n, (one, other) in pairs if repr(one) != repr(other)]
        where = f" (slice {apart[0] + 1}, the first of {len(apart)} that differ)"
        return {"before": f"{old[apart[0]]!r}{where}", "now": repr(new[apart[0]])}
    if isinstance(old, tuple) and isinstance(new, tuple):
        return {"before": f"{len(old)} slices", "now": f"{len(new)} slices"}
    return {"before": str(old), "now": str(new)}


def _changed_lesions(before: Sequence[Lesion], after: Sequence[Lesion]) -> Iterator[Difference]:
    if len(before) != len(after):
        yield Difference(what="number of lesions", before=str(len(before)), now=str(len(after)))
        return
    for old, new in zip(before, after, strict=True):
        if repr(replace(old, tracking_uid="")) != repr(replace(new, tracking_uid="")):
            yield Difference(what=f"lesion {old.number}", before=_lesion(old), now=_lesion(new))


def _lesion(one: Lesion) -> str:
    return f"{one.volume_ml!r} ml, peak {one.peak_score!r}, mass score {one.mass_score!r}"


def _changed_archive(
    store: Store, key: StudyKey, result: Findings | NotAnalysed
) -> Iterator[Difference]:
    if isinstance(result, NotAnalysed):
        return
    made = archive.to_bytes(result)
    try:
        kept = store.read(store.result_path(key, FINDINGS_FILE))
    except NotFound:
        yield Difference(what=FINDINGS_FILE, before="missing", now=f"{len(made)} bytes")
        return
    if kept != made:
        yield Difference(
            what=f"{FINDINGS_FILE}, the kept maps",
            before=hashlib.sha256(kept).hexdigest(),
            now=hashlib.sha256(made).hexdigest(),
        )
