"""The table of an ablation: what every variant reaches, and how far it is from the first."""

import functools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model_training.ablation import trial
from model_training.ablation.variants import Variant
from model_training.evaluation import pixel_figures, resampling, scoresheets, slice_figures
from model_training.evaluation.comparison import Drawn
from model_training.evaluation.examine import MODEL
from model_training.evaluation.report import without_nan
from model_training.evaluation.resampling import DRAWS, Figure, Interval
from model_training.evaluation.scoresheets import Scoresheet
from model_training.evaluation.tables import number, table, text

TABLE_FILE = "ablation.md"
JSON_FILE = "ablation.json"
SCORES = "scores"  # the group of the ways of scoring
CHANCE = "chance"  # the group whose variants differ by their seed alone
AUROC, PRECISION, DICE = "auroc", "pixel_average_precision", "best_dice"
FIGURES: dict[str, Callable[[Scoresheet], Figure]] = {
    AUROC: slice_figures.auroc,
    PRECISION: pixel_figures.average_precision,
    DICE: pixel_figures.best_dice,
}
NAMES = {AUROC: "slice AUROC", PRECISION: "pixel AP", DICE: "best Dice"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One variant or way of scoring. `figures` by the names of `FIGURES`; `less_first` is the same
    less the first variant's, patients drawn alike, empty for the first and without it."""

    name: str
    group: str
    change: str
    figures: dict[str, Interval]
    less_first: dict[str, Interval]
    subjects: int
    slices: int
    minutes: float


def lines(variants: Sequence[Variant], folder: Path) -> list[Line]:
    """One line for each finished variant, each way of scoring after its variant."""
    first = folder / variants[0].name
    reference = drawn(first / trial.SHEETS_FILE)[MODEL] if finished(first) else {}
    found = []
    for variant in variants:
        own = folder / variant.name
        if not finished(own):
            continue
        result = trial.load(own)
        for way, figures in drawn(own / trial.SHEETS_FILE).items():
            shown = variant.name if way == MODEL else way
            found.append(
                Line(
                    name=shown,
                    group=variant.group if way == MODEL else SCORES,
                    change=variant.change if way == MODEL else "",
                    figures={name: one.interval for name, one in figures.items()},
                    less_first={} if figures is reference else less(figures, reference),
                    subjects=result.subjects,
                    slices=result.slices,
                    minutes=result.minutes,
                )
            )
    return found


def finished(folder: Path) -> bool:
    """Whether a variant has been trained and scored."""
    return (folder / trial.RESULT_FILE).is_file()


@functools.cache
def drawn(path: Path) -> dict[str, dict[str, Drawn]]:
    """The figures of every way of scoring, of all patients and of each draw."""
    return {name: figures(sheet) for name, sheet in scoresheets.load(path).items()}


def figures(sheet: Scoresheet) -> dict[str, Drawn]:
    """The figures of one sheet."""
    once = resampling.everyone(len(sheet.patients))
    draws = resampling.draw(len(sheet.patients))
    made = {name: make(sheet) for name, make in FIGURES.items()}
    return {
        name: Drawn(value=float(figure(once)[0]), draws=figure(draws))
        for name, figure in made.items()
    }


def less(ours: dict[str, Drawn], theirs: dict[str, Drawn]) -> dict[str, Interval]:
    """Paired differences."""
    return {
        name: resampling.around(one.value - theirs[name].value, one.draws - theirs[name].draws)
        for name, one in ours.items()
        if name in theirs
    }


def write(variants: Sequence[Variant], folder: Path, command: str) -> str:
    """Writes table and JSON of what is finished so far; returns the table."""
    found = lines(variants, folder)
    markdown = as_markdown(found, command, steps=variants[0].recipe.max_steps)
    values = {"command": command, "lines": [asdict(line) for line in found]}
    content = json.dumps(without_nan(values), indent=1) + "\n"
    for name, text_of in ((TABLE_FILE, markdown), (JSON_FILE, content)):
        # In one step: two processes may share the work and the table.
        part = folder / f"{name}.part"
        part.write_text(text_of, encoding="utf-8")
        part.replace(folder / name)
    return markdown


def as_markdown(found: Sequence[Line], command: str, *, steps: int) -> str:
    """The whole page."""
    head = ["group", "variant", "changed", *NAMES.values(), "AUROC less first", "AP less first"]
    head += ["subjects", "slices", "minutes"]
    rows = [
        [
            line.group,
            line.name,
            line.change,
            *(text(line.figures[name]) for name in NAMES),
            text(line.less_first.get(AUROC)),
            text(line.less_first.get(PRECISION)),
            *(
                ["", "", ""]
                if line.group == SCORES
                else [str(line.subjects), str(line.slices), number(line.minutes, 1)]
            ),
        ]
        for line in found
    ]
    about = (
        f"{steps} training steps each, one seed, calibration patients; best Dice takes the "
        "threshold that suits these very patients best. `X alone` and `without X` are scores of "
        f"the first variant. Brackets: 95 % of {DRAWS} draws of patients, for differences drawn "
        "alike; they say nothing about chance in training, which the other seeds show."
    )
    parts = ["# Ablation", f"Made by `{command}`.", about, table(head, rows), matters(found)]
    return "\n\n".join(part for part in parts if part) + "\n"


def matters(found: Sequence[Line]) -> str:
    """One paragraph: which changes move a figure further than patients and seeds explain."""
    compared = [line for line in found if line.less_first and line.group != CHANCE]
    seeds = [line for line in found if line.less_first and line.group == CHANCE]
    if not seeds:
        return "**What matters** is said once a variant with another seed alone is finished."
    said = [verdict(compared, seeds, name) for name in (AUROC, PRECISION)]
    return "**What matters.** " + " ".join(said)


def verdict(compared: Sequence[Line], seeds: Sequence[Line], figure: str) -> str:
    """What is said about one figure."""
    chance = max(abs(line.less_first[figure].value) for line in seeds)
    moved = [line for line in compared if moves(line.less_first[figure], chance)]
    moved.sort(key=lambda line: line.less_first[figure].value)
    listed = "; ".join(f"{line.name} {text(line.less_first[figure])}" for line in moved)
    rest = [line.name for line in compared if line not in moved]
    return (
        f"{NAMES[figure]} moves further than patients and another seed (up to {number(chance)}) "
        f"explain with: {listed or 'nothing'}. "
        f"Not separable from chance: {', '.join(rest) or 'nothing'}."
    )


def moves(difference: Interval, chance: float) -> bool:
    """Whether neither the choice of patients nor another seed explains a difference."""
    outside = difference.low > 0 or difference.high < 0
    return not math.isnan(difference.value) and outside and abs(difference.value) > chance
