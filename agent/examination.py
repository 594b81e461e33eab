"""One study from files to findings, without storage and without a queue.

The steps of the node and `neurosieve analyse` both go through here, so that a study gives the same
answer either way.
"""

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path

from pydicom.dataset import Dataset

from agent import pipeline
from agent.dicom import identifiers, series, volumes
from agent.errors import UnreadableInput
from agent.imaging import pattern
from agent.imaging.results import Findings, NotAnalysed, Reason, Region
from agent.inference import AnomalyModel
from storage.enums import Level, Outcome, Pattern, Side
from storage.records import Analysis, Instance, Lesion, SeriesUid, StudyKey, StudyUid

CODE_VERSION = metadata.version("neurosieve")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The headers of a study's readable files, and which series was chosen."""

    headers: tuple[Dataset, ...]
    choice: series.Choice
    paths: tuple[Path, ...]  # of the chosen series
    damaged: tuple[str, ...] = ()  # what is wrong with files that may be images too

    @property
    def study_uid(self) -> StudyUid:
        """The study all headers belong to."""
        return StudyUid(str(self.headers[0].StudyInstanceUID))

    @property
    def is_at_hand(self) -> bool:
        """Whether its images are in memory or its files still here: a bucket's copies may go."""
        return "loaded" in vars(self) or all(path.exists() for path in self.paths)

    @cached_property
    def loaded(self) -> volumes.LoadedSeries:
        """The images of the chosen series, read when they are first asked for.

        Raises BadGeometry or UnreadablePixels.
        """
        return volumes.load(self.paths)


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What the model said, and the images it said it about (None when nothing could be read)."""

    loaded: volumes.LoadedSeries | None
    result: Findings | NotAnalysed


def read(paths: Sequence[Path], rules: series.SeriesRules) -> Reading:
    """Read the headers of a study's files and choose the series.

    Raises UnreadableInput when not one file can be read.
    """
    headers, unreadable = series.read_headers(paths)
    if not headers:
        why = unreadable[0].sentence if unreadable else "there is no file"
        raise UnreadableInput(f"None of {len(paths)} files can be read as DICOM: {why}")
    choice = series.choose(headers, rules)
    chosen = tuple(
        Path(str(header.filename))
        for header in headers
        if header.SeriesInstanceUID == choice.series_uid
    )
    damaged = tuple(one.sentence for one in unreadable if one.damaged)
    return Reading(headers=tuple(headers), choice=choice, paths=chosen, damaged=damaged)


def examine(
    reading: Reading, model: AnomalyModel, *, progress: Callable[[float], None] | None = None
) -> Examination:
    """Run the model over the chosen series; whatever prevents that becomes a reason."""
    if reading.choice.series_uid is None:
        reason = NotAnalysed(reason=Reason.NO_SUITABLE_SERIES, sentence=reading.choice.sentence)
        return Examination(loaded=None, result=reason)
    if reading.damaged:
        return _refused(Reason.UNREADABLE_PIXELS, _not_whole(reading))
    try:
        loaded = reading.loaded
    except volumes.BadGeometry as error:
        return _refused(Reason.BAD_GEOMETRY, str(error))
    except volumes.UnreadablePixels as error:
        return _refused(Reason.UNREADABLE_PIXELS, str(error))
    thresholds = model.description.thresholds
    result = pipeline.analyse(loaded.volume, model, thresholds, progress=progress)
    return Examination(loaded=loaded, result=result)


def _refused(reason: Reason, sentence: str) -> Examination:
    return Examination(loaded=None, result=NotAnalysed(reason=reason, sentence=sentence))


def _not_whole(reading: Reading) -> str:
    """What a damaged file held nobody knows: the last slices of the chosen series perhaps."""
    count = len(reading.damaged)
    files = "1 file" if count == 1 else f"{count} files"
    return (
        f"{files} of the study cannot be read, so the chosen series may lack slices: "
        f"{reading.damaged[0]}"
    )


def record(
    reading: Reading,
    result: Findings | NotAnalysed,
    model: AnomalyModel,
    *,
    input_sha256: str,
    created_at: datetime,
) -> Analysis:
    """The row that says what was found and everything needed to find it again."""
    description = model.description
    found = result if isinstance(result, Findings) else None
    refused = result if isinstance(result, NotAnalysed) else None
    spread = pattern.spread(found.regions) if found else None
    return Analysis(
        outcome=_outcome(result),
        reason_code=refused.reason.value if refused else None,
        reason=refused.sentence if refused else None,
        series_uid=SeriesUid(reading.choice.series_uid) if reading.choice.series_uid else None,
        study_score=found.study_score if found else None,
        study_p_value=found.study_p_value if found else None,
        slice_scores=tuple(float(score) for score in found.slice_scores) if found else (),
        slice_p_values=tuple(float(p) for p in found.slice_p_values) if found else (),
        pattern=Pattern(found.pattern.value) if found else None,
        symmetry=spread.symmetry if spread else None,
        near_ventricle=spread.near_ventricle if spread else None,
        model_name=description.name,
        model_version=description.version,
        model_sha256=description.digest,
        threshold_version=description.thresholds.version,
        input_sha256=input_sha256,
        runtime=model.runtime,
        code_version=CODE_VERSION,
        created_at=created_at,
        scanner=scanner(reading),
    )


_SCANNER_FIELDS = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber")


def scanner(reading: Reading) -> str | None:
    """What made the chosen series, or the first image where none was chosen."""
    chosen = (
        header
        for header in reading.headers
        if reading.choice.series_uid in (None, header.get("SeriesInstanceUID"))
    )
    header = next(chosen, reading.headers[0])
    words = (str(header.get(field) or "").strip() for field in _SCANNER_FIELDS)
    return " ".join(filter(None, words)) or None


def _outcome(result: Findings | NotAnalysed) -> Outcome:
    if isinstance(result, NotAnalysed):
        return Outcome.NOT_ANALYSED
    return Outcome.ABNORMAL if result.abnormal else Outcome.NO_ABNORMALITY


def lesions(
    study_uid: StudyUid,
    result: Findings | NotAnalysed,
    analysis: Analysis,
    namespace: uuid.UUID,
) -> tuple[Lesion, ...]:
    """The regions found, as lesions that can be followed by their tracking UID."""
    if isinstance(result, NotAnalysed):
        return ()
    identity = identifiers.identity_of(study_uid, analysis)
    return tuple(
        _lesion(
            region,
            identifiers.lesion_tracking_uid(namespace, identity, region.number),
            judged=analysis.pattern is not None,
        )
        for region in result.regions
    )


def _lesion(region: Region, tracking_uid: str, *, judged: bool) -> Lesion:
    """`judged` is False for an analysis stored before regions were told apart."""
    shape = region.shape
    return Lesion(
        number=region.number,
        tracking_uid=tracking_uid,
        volume_ml=region.volume_ml,
        diameter_mm=region.diameter_mm,
        centroid_mm=region.centroid_mm,
        peak_score=region.peak_score,
        mean_score=region.mean_score,
        slice_index=region.slice_index,
        mass_like=region.mass_like if judged else None,
        mass_score=region.mass_score if judged else None,
        extent_mm=shape.extent_mm if shape else None,
        thickness_mm=shape.thickness_mm if shape else None,
        compactness=shape.compactness if shape else None,
        asymmetry=shape.asymmetry if shape else None,
        contrast=shape.contrast if shape else None,
        ventricle_mm=shape.ventricle_mm if shape else None,
        near_ventricle=shape.near_ventricle if shape else None,
        surface_mm=shape.surface_mm if shape else None,
        side=Side(shape.side.value) if shape and shape.side else None,
        level=Level(shape.level.value) if shape and shape.level else None,
    )


def input_digest(key: StudyKey, inputs: Sequence[Instance]) -> str:
    """What a result rests on. The key is in it: no revision shares its UIDs with another."""
    return digest([key, *(f"{one.sop_uid} {one.content_sha256}" for one in inputs)])


def digest(parts: Sequence[str]) -> str:
    """SHA-256 over the sorted parts: the same inputs in any order give the same value."""
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()
