"""What a report says in words: the verdict, what was read, and how the result came about."""

from pydicom.dataset import Dataset

from agent.dicom.frames import Frame
from agent.dicom.objects.context import ResultContext
from storage.enums import Outcome, Pattern
from storage.records import INCOMPLETE, SeriesDecision

_RESEARCH = "Research use only, not for diagnosis."


def impression(context: ResultContext) -> str:
    """The answer in a few sentences that can be read alone."""
    analysis = context.analysis
    if analysis.outcome is Outcome.NOT_ANALYSED:
        why = analysis.reason or "No reason was recorded."
        limits = " ".join([why, *_incomplete(context), _RESEARCH])
        return f"NOT ANALYSED: this is no statement about the patient. {limits}"
    if analysis.outcome is Outcome.NO_ABNORMALITY:
        nothing = "No abnormality detected by the model. Disease is not ruled out by this."
        return " ".join([nothing, *_limits(context), _scores(context), _RESEARCH])
    count = len(context.lesions)
    volume_ml = sum(lesion.volume_ml for lesion in context.lesions)
    regions = "1 abnormal region" if count == 1 else f"{count} abnormal regions"
    found = f"{regions} found, {volume_ml:.1f} ml in all."
    return " ".join([found, *_pattern(context), *_limits(context), _scores(context), _RESEARCH])


def _limits(context: ResultContext) -> list[str]:
    return [*_incomplete(context), *context.remarks]


def _incomplete(context: ResultContext) -> list[str]:
    """What is missing stands in the comments; that something is, must not be overlooked."""
    if INCOMPLETE not in context.completion_evidence:
        return []
    return ["THE STUDY WAS INCOMPLETE when it was read; the comments say what is missing."]


def comments(context: ResultContext) -> list[str]:
    """How the result came about: completeness, series by series, and what to replay it with."""
    analysis = context.analysis
    replay = (
        f"Model {analysis.model_name} {analysis.model_version} (sha256 {analysis.model_sha256}), "
        f"thresholds {analysis.threshold_version}, input sha256 {analysis.input_sha256}, "
        f"agent {analysis.code_version}, {analysis.runtime}."
    )
    return [
        f"Completeness of the study: {context.completion_evidence}",
        *(_decision(context, one) for one in context.decisions),
        *_replaced(context),
        replay,
    ]


def _replaced(context: ResultContext) -> list[str]:
    if not context.replaces:
        return []
    return [f"This report replaces the report {context.replaces[0].sop_uid} over the same study."]


def _pattern(context: ResultContext) -> list[str]:
    """What the regions look like together: a description of marks, not of a disease."""
    pattern = context.analysis.pattern
    if pattern is Pattern.MASS_LIKE:
        alike = [str(lesion.number) for lesion in context.lesions if lesion.mass_like]
        which = f"region {alike[0]}" if len(alike) == 1 else f"regions {', '.join(alike)}"
        return [f"Pattern: mass-like anomaly ({which})."]
    if pattern is Pattern.WHITE_MATTER:
        spread = ", ".join(_spread(context))
        where = f" ({spread})" if spread else ""
        return [f"Pattern: white-matter changes{where}, no mass-like region."]
    return []


def _spread(context: ResultContext) -> list[str]:
    analysis = context.analysis
    parts = []
    if analysis.near_ventricle is not None:
        parts.append(f"{analysis.near_ventricle:.0%} within 10 mm of the ventricles")
    if analysis.symmetry is not None:
        parts.append(f"{analysis.symmetry:.0%} mirrored in the other half")
    return parts


def _scores(context: ResultContext) -> str:
    score, p_value = context.analysis.study_score, context.analysis.study_p_value
    if score is None or p_value is None:
        return "No score was recorded."
    return f"Study score {score:.4g}, p = {p_value:.3g}."


def _decision(context: ResultContext, decision: SeriesDecision) -> str:
    verb = "read" if decision.chosen else "not read"
    images = "1 image" if decision.instance_count == 1 else f"{decision.instance_count} images"
    name = f"Series {decision.number}{_described(context, decision)}"
    return f"{name} ({decision.modality}, {images}) {verb}: {decision.reason}"


def _described(context: ResultContext, decision: SeriesDecision) -> str:
    """The series' own description: the report stays with the patient, unlike the database."""
    own = (one for one in context.study if one.get("SeriesInstanceUID") == decision.series_uid)
    first = Frame(next(own, Dataset()))
    text = first.text("SeriesDescription") or first.text("ProtocolName")
    return f' "{text}"' if text else ""
