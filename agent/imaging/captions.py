"""The words on a heatmap. No patient is named in them, and none of them says "normal"."""

import math

from agent.imaging.results import Findings, Pattern

RESEARCH_MARKING = "RESEARCH USE ONLY - NOT FOR DIAGNOSIS"
TITLE = "NeuroSieve anomaly map"
NOTHING_MARKED = "no region marked"
NOT_EXCLUDED = "disease not excluded"
_SMALLEST_P = 0.0001
_PATTERNS = {
    Pattern.NONE: NOTHING_MARKED,
    Pattern.MASS_LIKE: "mass-like pattern",
    Pattern.WHITE_MATTER: "white matter pattern",
}


def score(findings: Findings, index: int) -> str:
    """Which slice it is, counted from 1, and its score, with as many decimals on each slice."""
    highest = max(1e-3, float(findings.slice_scores.max()))
    decimals = max(0, 2 - math.floor(math.log10(highest)))
    number = f"{index + 1}/{len(findings.slice_scores)}"
    return f"slice {number}   score {findings.slice_scores[index]:.{decimals}f}"


def p_value(findings: Findings, index: int) -> str:
    """How rare such a slice score is among tumour-free slices."""
    p = float(findings.slice_p_values[index])
    return f"p < {_SMALLEST_P:g}" if p < _SMALLEST_P else f"p = {p:#.2g}"


def verdict(findings: Findings) -> str:
    """What the regions of the study look like together, or that none is marked."""
    return _PATTERNS[findings.pattern]


def here(findings: Findings, index: int) -> str:
    """What is marked on this slice; where nothing is in the study, what that does not mean."""
    if not findings.regions:
        return NOT_EXCLUDED
    labels = findings.labels[index]
    count = len(set(labels[labels > 0].tolist()))
    if not count:
        return "no region on this slice"
    return f"{count} region{'s' if count > 1 else ''} on this slice"
