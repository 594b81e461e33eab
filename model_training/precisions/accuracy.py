"""Two precisions of one model on the calibration patients: the figures of both, and what is lost.

The thresholds of each are chosen on these very patients, so that the difference is the precision's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.imaging.results import Pattern
from agent.inference import OnnxModel
from model_training import calibrate, data
from model_training.config import Recipe
from model_training.evaluation import comparison, examine, groups, readings
from model_training.evaluation.cohort_tables import DIFFERENCE_COLUMNS
from model_training.evaluation.comparison import Difference
from model_training.evaluation.examine import MODEL, Examined
from model_training.evaluation.readings import Reading
from model_training.evaluation.resampling import DRAWS
from model_training.evaluation.scoresheets import Scoresheet
from model_training.evaluation.tables import number, table, text

MOST_LOST = 0.003
GUARDED = ("auroc", "pixel_average_precision")


@dataclass(frozen=True, kw_only=True)
class Calibrating:
    """Who calibrates: patients with tumour, and subjects without."""

    patients: Sequence[Examined]
    tumour_free: Sequence[Examined]


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """Of how many studies how many are called mass-like."""

    of: int
    mass_like: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One precision: its scores on the patients, and its verdicts by kind of subject."""

    precision: str
    sheet: Scoresheet
    mass_like: Mapping[str, Verdicts]


def examine_all(data_folder: Path, recipe: Recipe, model: OnnxModel) -> Calibrating:
    """The calibration split as one precision sees it, its own brain masks included."""
    patients, tumour_free = (
        examine.examine(
            data.calibration_members(data_folder, names),
            lambda prepared: model.run(prepared.slices, prepared.positions),
            recipe,
            model.find_brain,
        )
        for names in (recipe.collections[:1], recipe.collections[1:])
    )
    return Calibrating(patients=patients, tumour_free=tumour_free)


def measure(groups: Calibrating, model: OnnxModel) -> Measured:
    """Scores the patients under thresholds chosen on them; verdicts are the whole calculation's."""
    rows = [examine.model_row(one, model.description.fusion) for one in groups.patients]
    frozen = calibrate.freeze(groups.patients, rows)
    scored = [
        Reading(scores=readings.slice_reading(one, row, frozen))
        for one, row in zip(groups.patients, rows, strict=True)
    ]
    return Measured(
        precision=model.description.precision,
        sheet=readings.sheet(MODEL, frozen, scored),
        mass_like={
            "patients": mass_like(groups.patients, model),
            "tumour-free subjects": mass_like(groups.tumour_free, model),
        },
    )


def mass_like(subjects: Sequence[Examined], model: OnnxModel) -> Verdicts:
    """How many of how many are called mass-like."""
    found = [groups.conclude(one, model).pattern for one in subjects]
    return Verdicts(of=len(found), mass_like=found.count(Pattern.MASS_LIKE))


def lost(found: Sequence[Difference]) -> Mapping[str, float]:
    """The guarded figures that fell by more than may be lost, or that this data does not tell."""
    return {
        one.figure: one.difference.value
        for one in found
        if one.figure in GUARDED and not one.difference.value >= -MOST_LOST
    }


def differences(ours: Measured, theirs: Measured) -> list[Difference]:
    """Every figure, the faster precision less the other."""
    return comparison.compare([ours.sheet], [theirs.sheet])


def as_markdown(ours: Measured, theirs: Measured) -> str:
    """The table of both."""
    rows = [
        [
            DIFFERENCE_COLUMNS[one.figure],
            number(one.theirs[0]),
            number(one.ours[0]),
            text(one.difference),
        ]
        for one in differences(ours, theirs)
    ]
    for who, now in ours.mass_like.items():
        before = theirs.mass_like[who].mass_like
        changed = now.mass_like - before
        rows.append(
            [f"called mass-like, of {now.of} {who}", str(before), str(now.mass_like), str(changed)]
        )
    return (
        f"{len(ours.sheet.patients)} calibration patients, each precision with thresholds chosen "
        f"on them. Brackets: 95 % of {DRAWS} draws of patients, the same for both.\n\n"
        + table(["figure", theirs.precision, ours.precision, "difference"], rows)
    )
