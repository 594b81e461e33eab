"""Trains one variant, scores the calibration patients with it, and keeps what the table needs.

The test split is never read here.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from agent.imaging.scoring import Fusion, Kind
from model_training import calibrate, fusion, graph, trainer
from model_training.ablation.preparing import Preparations
from model_training.ablation.variants import Variant
from model_training.data import SliceSet
from model_training.evaluation import examine, readings, scoresheets
from model_training.evaluation.examine import MODEL, Examined
from model_training.evaluation.scoresheets import Scoresheet
from model_training.fusion import Exercise
from model_training.graph import ShippedGraph

RECIPE_FILE = "recipe.toml"
SHEETS_FILE = "scoresheets.npz"
RESULT_FILE = "result.json"
ALONE, WITHOUT = "{} alone", "without {}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is kept of a finished variant beside its scoresheets: `subjects` and `slices` it was
    trained on, and the weights of the kinds of maps in anomaly map and slice score."""

    subjects: int
    slices: int
    steps: int
    minutes: float
    map_weights: tuple[float, ...]
    score_weights: tuple[float, ...]


def run(
    variant: Variant,
    folder: Path,
    preparations: Preparations,
    *,
    each_score: bool,
    device: torch.device,
) -> Result:
    """One variant in its folder; a finished one is not run again, a broken-off one goes on.

    `each_score`: also score by each kind of map alone and without each. Raises ValueError where
    the folder holds another recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    claim(folder / RECIPE_FILE, variant)
    if (folder / RESULT_FILE).is_file():
        return load(folder)
    slices, watched = preparations.slices(variant), preparations.watched(variant)
    trained = trainer.train(variant.recipe, slices, folder, watched=watched, device=device)
    shipped = graph.assemble([trained.method.parts()], slices)
    learnt, _ = fusion.learn(shipped, watched)
    answered = [
        dataclasses.replace(one, maps=graph.maps(shipped, one.prepared))
        for one in preparations.patients(variant)
    ]
    ways = {MODEL: learnt} | (score_ways(shipped, watched) if each_score else {})
    scoresheets.save(folder / SHEETS_FILE, sheets(answered, ways))
    result = Result(
        subjects=slices.subjects,
        slices=len(slices.images),
        steps=trained.step,
        minutes=round(trained.seconds / 60, 1),
        map_weights=learnt.map_weights,
        score_weights=learnt.score_weights,
    )
    (folder / RESULT_FILE).write_text(json.dumps(asdict(result), indent=1) + "\n")
    return result


def claim(path: Path, variant: Variant) -> None:
    """Keeps the recipe; refuses to mix it with the results of another."""
    if path.is_file() and path.read_text(encoding="utf-8") != variant.text:
        raise ValueError(
            f"{path} is another recipe than {variant.name} is now: remove its folder to train it "
            "anew, or name another --out."
        )
    path.write_text(variant.text, encoding="utf-8")


def load(folder: Path) -> Result:
    """The kept result of a finished variant."""
    values = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
    for key in ("map_weights", "score_weights"):
        values[key] = tuple(values[key])
    return Result(**values)


def score_ways(shipped: ShippedGraph, watched: SliceSet) -> dict[str, Fusion]:
    """Each kind of map alone, and all but each with the weights learnt anew."""
    exercise = fusion.prepare(shipped, watched)
    there = [
        (number, kind)
        for number, kind in enumerate(Kind)
        if bool(np.any(exercise.raw[:, number] > 0))
    ]
    ways = {ALONE.format(kind): examine.alone(kind) for _, kind in there}
    if len(there) > 1:
        for number, kind in there:
            ways[WITHOUT.format(kind)], _ = fusion.learn_from(silenced(exercise, number))
    return ways


def silenced(exercise: Exercise, number: int) -> Exercise:
    """The exercise as if the method had no such kind of map."""
    raw, deviations = exercise.raw.copy(), exercise.deviations.copy()
    raw[:, number], deviations[:, number] = 0, 0
    return dataclasses.replace(exercise, raw=raw, deviations=deviations)


def sheets(patients: Sequence[Examined], ways: Mapping[str, Fusion]) -> list[Scoresheet]:
    """Every way of scoring over the patients, with the thresholds that calibration would freeze."""
    found = []
    for name, weights in ways.items():
        rows = [examine.model_row(one, weights) for one in patients]
        frozen = calibrate.freeze(patients, rows)
        scores = [
            readings.slice_reading(one, row, frozen)
            for one, row in zip(patients, rows, strict=True)
        ]
        found.append(
            Scoresheet(
                name=name,
                slice_threshold=frozen.slice,
                slice_threshold_at_5_percent=frozen.slice_at_5_percent,
                pixel_threshold=frozen.pixel,
                patients=tuple(scores),
            )
        )
    return found
