"""Says in plain sentences how a study came to its result, from what was kept of it."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from agent import study_facts
from agent.imaging.pattern import ALL_MASS_LIKE
from agent.study_facts import StudyFacts
from storage.enums import Outcome
from storage.model_records import ThresholdSet
from storage.records import Analysis, Lesion, SeriesDecision

Sections = dict[str, list[str]]
_TERMS = {
    "log_thickness": "thickness {0.thickness_mm:.1f} mm",
    "asymmetry": "not mirrored {0.asymmetry:.0%}",
    "contrast": "brighter than the other half by {0.contrast:.2f}",
    "near_ventricle": "near the ventricles {near:.0%}",
    "bias": "the same for all",
}


def explain(facts: StudyFacts) -> Sections:
    """Sentences under headings, in the order of the way through the node. Slices count from 1."""
    said = {
        "Received": _received(facts),
        "Series": [_series(one) for one in facts.decisions] or ["No series was looked at yet."],
        "Result": _result(facts),
        "Model and thresholds": _model(facts),
        "Slices": _slices(facts),
        "Regions": [_lesion(one, facts) for one in facts.lesions],
        "Sent": list(_sent(facts)),
        "Marks": [
            f"{one.mark} by {one.by} on {one.at:%Y-%m-%d %H:%M} UTC (revision {one.revision})"
            f"{f': {one.note}' if one.note else '.'}"
            for one in facts.marks
        ],
        "On trial": _trial(facts),
    }
    return {heading: sentences for heading, sentences in said.items() if sentences}


def slices(facts: StudyFacts) -> list[dict[str, object]]:
    """Every slice with its score against the threshold; slices count from 1, indices from 0."""
    if facts.analysis is None:
        return []
    threshold = facts.described.thresholds.slice if facts.described else None
    pairs = zip(facts.analysis.slice_scores, facts.analysis.slice_p_values, strict=True)
    return [
        {
            "slice": index + 1,
            "index": index,
            "score": score,
            "p_value": p_value,
            "threshold": threshold,
            "reached": None if threshold is None else score >= threshold,
        }
        for index, (score, p_value) in enumerate(pairs)
    ]


def _received(facts: StudyFacts) -> list[str]:
    study = facts.study
    said = [
        f"{study.instance_count} images came from {study.source_ae} between "
        f"{study.first_received_at:%Y-%m-%d %H:%M:%S} and "
        f"{study.last_received_at:%Y-%m-%d %H:%M:%S} UTC."
    ]
    why = study.completion_evidence
    counted = "was read without all its images" if study.is_incomplete else "counted as complete"
    said.append(f"The study {counted}: {why}" if why else "It is not complete yet.")
    said.append(f"It is {study.state}{f': {study.error}' if study.error else '.'}")
    if facts.images_removed_at is not None:
        said.append(f"Its images were removed by retention on {facts.images_removed_at:%Y-%m-%d}.")
    return said


def _series(one: SeriesDecision) -> str:
    verb = "was read" if one.chosen else "was not read"
    images = f"{one.modality}, {one.instance_count} images"
    return f"Series {one.number} ({images}) {verb}: {one.reason}"


def _result(facts: StudyFacts) -> list[str]:
    said = facts.analysis
    if said is None:
        return ["There is no result yet."]
    if said.outcome is Outcome.NOT_ANALYSED:
        return [f"Not analysed ({said.reason_code}): {said.reason}"]
    verdict = {
        Outcome.ABNORMAL: f"Abnormal: {_regions(facts.lesions)}, pattern {said.pattern}.",
        Outcome.NO_ABNORMALITY: "Nothing flagged: no region remains.",
    }[said.outcome]
    return [verdict]


def _model(facts: StudyFacts) -> list[str]:
    said = facts.analysis
    if said is None:
        return []
    who = "Named for a report, without reading: model" if _unread(said) else "Read by model"
    model = (
        f"{who} {said.model_name} {said.model_version} (sha256 {said.model_sha256[:12]}…) on "
        f"{said.runtime}, agent {said.code_version}."
    )
    if _unread(said):
        return [model]
    if facts.described is None:
        return [model, f"Model or thresholds {said.threshold_version} are not kept here any more."]
    chosen = facts.described.thresholds
    return [
        model,
        f"Thresholds {chosen.version}: slice score {chosen.slice:.4g}, anomaly map "
        f"{chosen.pixel:.4g}, regions from {chosen.minimum_volume_ml:g} ml.",
        _origin(facts.made) if facts.made else "They are the model's own, from its training.",
        f"How they were chosen: {facts.described.operating_point}.",
        f"p-values: against {len(facts.described.slice_reference)} slices and "
        f"{len(facts.described.study_reference)} studies without tumour.",
    ]


def _origin(made: ThresholdSet) -> str:
    said = f"Number {made.number}, made by {made.made_by} on {made.made_at:%Y-%m-%d}"
    if made.study_count is not None:
        said += f", calibrated with {made.study_count} tumour-free studies"
    if made.false_positive_rate is not None:
        low, high = made.rate_low or 0.0, made.rate_high or 1.0
        said += f", of which {made.false_positive_rate:g} [{low:.3f}, {high:.3f}] may pass"
    return f"{said}{f': {made.why}' if made.why else ''}."


def _slices(facts: StudyFacts) -> list[str]:
    said = facts.analysis
    if said is None or said.study_score is None or not said.slice_scores:
        return []
    count, highest = len(said.slice_scores), int(np.argmax(said.slice_scores)) + 1
    sentences = [
        f"Slice {highest} of {count} decided: its score {said.study_score:.4g} is the highest and "
        f"so the study's, p = {said.study_p_value:.3g}."
    ]
    if facts.described is None:
        return sentences
    reached = [str(row["slice"]) for row in slices(facts) if row["reached"]]
    which = f": {', '.join(reached)}" if reached else ""
    chosen = facts.described.thresholds
    return [
        *sentences,
        f"{len(reached)} of {count} slices reach the slice threshold {chosen.slice:.4g}{which}.",
        f"There the anomaly map is cut at {chosen.pixel:.4g}, and pieces below "
        f"{chosen.minimum_volume_ml:g} ml are dropped; what is left: {_regions(facts.lesions)}.",
    ]


def _lesion(one: Lesion, facts: StudyFacts) -> str:
    place = ", ".join(str(word).lower() for word in (one.side, one.level) if word)
    said = (
        f"Region {one.number}: {one.volume_ml:.1f} ml, {one.diameter_mm:.0f} mm across, "
        f"{f'{place}, ' if place else ''}largest on slice {one.slice_index + 1}, peak "
        f"{one.peak_score:.3g}."
    )
    return f"{said} {_mass(one, facts)}"


def _mass(one: Lesion, facts: StudyFacts) -> str:
    if one.mass_like is None or one.mass_score is None:
        return "Whether it is mass-like was not judged."
    verdict = "Mass-like" if one.mass_like else "Not mass-like"
    described = facts.described
    if described is None or described.pattern == ALL_MASS_LIKE:
        return f"{verdict}, mass score {one.mass_score:.2f}."
    terms = study_facts.mass_terms(one, described)
    if terms is None:
        return f"{verdict}: its shape could not be described."
    near = one.near_ventricle or 0.0
    sums = (f"{_TERMS[name].format(one, near=near)} {term:+.2f}" for name, term in terms.items())
    return (
        f"{verdict}: mass score {one.mass_score:.2f}, and {described.pattern.threshold:g} is "
        f"needed ({', '.join(sums)}; in sum {sum(terms.values()):+.2f})."
    )


def _sent(facts: StudyFacts) -> Iterator[str]:
    if not facts.objects:
        return
    made = Counter(one.role.value.lower().replace("_", " ") for one in facts.objects)
    yield "Made: " + ", ".join(f"{count} {name}" for name, count in made.items()) + "."
    ways = Counter((one.destination, one.state, one.error) for one in facts.deliveries)
    for (destination, state, error), count in ways.items():
        yield f"{destination}: {count} {state.lower()}{f', {error}' if error else ''}."
    if facts.results_removed_at is not None:
        day = f"{facts.results_removed_at:%Y-%m-%d}"
        yield f"Retention removed what is kept here of them on {day}."
    if not ways:
        yield "Nothing was sent: no destination was planned."


def _trial(facts: StudyFacts) -> list[str]:
    said = facts.trial
    if said is None:
        return []
    model = f"{said.model_name} {said.model_version}, thresholds {said.threshold_version}"
    if said.outcome is Outcome.NOT_ANALYSED:
        return [f"{model}, never sent: not analysed, {said.reason}"]
    return [
        f"{model}, never sent: {said.outcome}, {_regions(facts.trial_lesions)}, study score "
        f"{said.study_score:.4g}, p = {said.study_p_value:.3g}."
    ]


def _regions(lesions: tuple[Lesion, ...]) -> str:
    volume_ml = sum(one.volume_ml for one in lesions)
    count = len(lesions)
    return f"{count} {'region' if count == 1 else 'regions'} of {volume_ml:.1f} ml in all"


def _unread(said: Analysis) -> bool:
    return said.outcome is Outcome.NOT_ANALYSED
