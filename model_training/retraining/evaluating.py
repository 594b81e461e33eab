"""The last stage: both models on the held-back patients, and the candidate's folder with it all."""

import json
import shutil
from dataclasses import asdict

from agent import inference, model_toml
from model_training import checkpoint, collection, config, data, files, runs, trainer
from model_training.collection import Split
from model_training.evaluation import cohorts, report
from model_training.retraining import (
    checking,
    comparing,
    course,
    folder,
    measuring,
    pages,
    pictures,
)
from model_training.retraining.comparing import Line
from model_training.retraining.measuring import Measured
from model_training.retraining.order import COLLECTION, Order
from model_training.retraining.pages import Facts
from model_training.retraining.telling import Tell


def evaluate(order: Order, tell: Tell) -> None:
    """Measure, draw, write, and put the candidate in its place."""
    listed = collection.members(order.collections / COLLECTION)
    calibration, held_back = (
        collection.of_split(listed, split) for split in (Split.CALIBRATION, Split.TEST)
    )
    base = inference.load(order.base, provider=inference.Provider.CPU)
    candidate = inference.load(order.exported, provider=inference.Provider.CPU)
    tell(0.0, f"Asking {base.description.version} about {len(held_back)} held-back scans.")
    theirs = measuring.measure(base, calibration, held_back)
    tell(0.45, f"Asking {candidate.description.version} about the same scans.")
    ours = measuring.measure(candidate, calibration, held_back)
    tell(0.9, "Drawing the figures and writing the report.")
    write(order, facts(order), ours, theirs)


def facts(order: Order) -> Facts:
    """What the candidate came from, read from what the stages left."""
    recipe = config.load(order.running / runs.RECIPE_FILE)
    saved = checkpoint.load(order.running)
    if saved is None:
        raise FileNotFoundError(f"{order.running} holds no checkpoint.")
    return Facts(
        candidate=model_toml.describe(order.exported),
        base=model_toml.describe(order.base),
        checked=checking.load(order.checked),
        goes_on=order.recipe is None,
        recipe=order.recipe or course.GOING_ON,
        slices=len(data.read_slices(order.running / runs.SLICES_FILE).images),
        steps=int(saved["step"]),
        most_steps=recipe.max_steps,
        best_step=int(saved["best_step"]),
    )


def write(order: Order, of: Facts, ours: Measured, theirs: Measured) -> None:
    """The model folder with report, card, figures and numbers."""
    part = folder.fresh(order.candidate)
    shutil.copytree(order.exported, part, dirs_exist_ok=True)
    losses = order.running / trainer.LOSS_FILE
    figures = pictures.draw(part / pictures.FOLDER, losses, ours, theirs)
    found = comparing.lines(ours, theirs)
    scores = comparing.distributions(ours, theirs)
    files.write(part / report.FILE_NAME, pages.as_report(of, found, scores, figures))
    files.write(part / pages.CARD_FILE, pages.as_card(of, found))
    files.write(part / cohorts.FILE_NAME, as_json(of, found))
    part.replace(order.candidate)


def as_json(of: Facts, found: list[Line]) -> str:
    """All figures, and how many patients they rest on."""
    values = {
        "candidate": f"{of.candidate.name}@{of.candidate.version}",
        "base": f"{of.base.name}@{of.base.version}",
        "patients": of.checked.patients,
        "lines": [asdict(line) for line in found],
    }
    return json.dumps(report.without_nan(values), indent=1) + "\n"
