"""What a lesion and a whole study look like, in coded words and numbers of the report."""

from highdicom import sr
from pydicom.sr.coding import Code

from agent.dicom import codes
from storage.enums import Level, Pattern, Side
from storage.records import Analysis, Lesion

_PATTERNS = {
    Pattern.NONE: codes.NO_REGION,
    Pattern.MASS_LIKE: codes.MASS_LIKE,
    Pattern.WHITE_MATTER: codes.WHITE_MATTER,
}
_SIDES = {Side.LEFT: codes.LEFT, Side.RIGHT: codes.RIGHT, Side.MIDLINE: codes.MIDLINE}
_LEVELS = {
    Level.UPPER: codes.SUPERIOR,
    Level.MIDDLE: codes.MIDDLE_THIRD,
    Level.LOWER: codes.INFERIOR,
}


def site(lesion: Lesion) -> sr.FindingSite:
    """The brain, with side and third of its height where they are known."""
    return sr.FindingSite(
        codes.BRAIN,
        laterality=_SIDES[lesion.side] if lesion.side else None,
        topographical_modifier=_LEVELS[lesion.level] if lesion.level else None,
    )


def of_study(analysis: Analysis) -> list[sr.QualitativeEvaluation]:
    """The pattern of all lesions together, nothing where nobody asked."""
    if analysis.pattern is None:
        return []
    return [sr.QualitativeEvaluation(codes.PATTERN, _PATTERNS[analysis.pattern])]


def of_lesion(lesion: Lesion) -> list[sr.QualitativeEvaluation] | None:
    """Mass-like or not, None where nobody asked."""
    if lesion.mass_like is None:
        return None
    kind = codes.MASS_LIKE if lesion.mass_like else codes.WHITE_MATTER_LIKE
    return [sr.QualitativeEvaluation(codes.KIND_OF_REGION, kind)]


def study_numbers(analysis: Analysis) -> list[sr.Measurement]:
    """How symmetric the lesions are together, and how much of them lies at the ventricles."""
    return _known(
        (codes.SYMMETRY, analysis.symmetry, codes.NO_UNITS),
        (codes.NEAR_VENTRICLE, analysis.near_ventricle, codes.NO_UNITS),
    )


def lesion_numbers(lesion: Lesion) -> list[sr.Measurement]:
    """The mass score and the measures it rests on."""
    return _known(
        (codes.MASS_SCORE, lesion.mass_score, codes.NO_UNITS),
        (codes.THICKNESS, lesion.thickness_mm, codes.MILLIMETRE),
        (codes.EXTENT, lesion.extent_mm, codes.MILLIMETRE),
        (codes.COMPACTNESS, lesion.compactness, codes.NO_UNITS),
        (codes.ASYMMETRY, lesion.asymmetry, codes.NO_UNITS),
        (codes.CONTRAST, lesion.contrast, codes.NO_UNITS),
        (codes.VENTRICLE_DISTANCE, lesion.ventricle_mm, codes.MILLIMETRE),
        (codes.NEAR_VENTRICLE, lesion.near_ventricle, codes.NO_UNITS),
        (codes.SURFACE_DISTANCE, lesion.surface_mm, codes.MILLIMETRE),
    )


def rounded(value: float) -> float:
    """Six significant digits: more would claim what no scanner measures, and overflow a DS."""
    return float(f"{value:.6g}")


def _known(*measured: tuple[Code, float | None, Code]) -> list[sr.Measurement]:
    return [
        sr.Measurement(name, rounded(value), unit)
        for name, value, unit in measured
        if value is not None
    ]
