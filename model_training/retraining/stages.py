"""All stages in their order; each leaves its outcome whole and is passed over where it is there.

Killed at any moment and started again, a retraining ends on a CPU with the same candidate, bit for
bit, as one that nobody disturbed.
"""

import shutil
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from agent import inference, model_toml
from agent.errors import ConfigurationError
from model_training import calibrate, config, files, runs, weights
from model_training.retraining import checking, course, evaluating, folder, telling, thresholds
from model_training.retraining.order import Order
from model_training.retraining.telling import Stage
from model_training.trainer import Run

WAIT_SECONDS = 30.0  # for one that was killed to be gone
RECIPE_FILE = "recipe.toml"
TRAINED_FILE = "trained"


def retrain(order: Order, device: torch.device) -> Path:
    """From a folder of scans to a candidate's model folder; goes on where a start was broken off.

    Raises AgentError, OSError or ValueError with a sentence for people.
    """
    order.work.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(order.work / ".lock", timeout=WAIT_SECONDS):
            if not order.candidate.is_dir():
                run_stages(order, device)
            forget_images(order)
    except Timeout as error:
        raise ConfigurationError(f"{order.work} is in use by another retraining.") from error
    telling.of(Stage.DONE)(1.0, f"The candidate is in {order.candidate}.")
    return order.candidate


def run_stages(order: Order, device: torch.device) -> None:
    """Each stage that has not left its outcome yet."""
    check_base(order)
    recipe_file = keep_recipe(order)
    # In every stage, whichever this start begins with: more threads add in another order.
    torch.set_num_threads(config.load(recipe_file).threads)
    checked = checking.check(order, telling.of(Stage.CHECKING))
    telling.of(Stage.CHECKING)(1.0, checked.sentence)
    if not (order.running / TRAINED_FILE).is_file():
        train(order, recipe_file, device)
    base = model_toml.describe(order.base)
    if not (order.running / calibrate.FILE_NAME).is_file():
        telling.of(Stage.THRESHOLDS)(0.0, "Choosing thresholds by the calibration patients.")
        thresholds.choose(order, base)
    if not order.exported.is_dir():
        telling.of(Stage.EXPORT)(0.0, "Writing the model folder.")
        folder.export(order, base)
    evaluating.evaluate(order, telling.of(Stage.EVALUATION))


def forget_images(order: Order) -> None:
    """Removes the copies of patients' images, which nobody needs any more."""
    shutil.rmtree(order.collections, ignore_errors=True)
    for name in (runs.SLICES_FILE, runs.WATCHED_FILE):
        (order.running / name).unlink(missing_ok=True)


def check_base(order: Order) -> None:
    """Say at once what would only be found after the scans were read."""
    model_toml.describe(order.base)
    if order.recipe is None and not (order.base / weights.FILE_NAME).is_file():
        raise ConfigurationError(
            f"{order.base} holds no {weights.FILE_NAME}, so nothing can go on from it: name a "
            "recipe to learn anew, or a model folder that `neurosieve-train export` wrote."
        )


def keep_recipe(order: Order) -> Path:
    """The recipe as it was chosen at the first start, whatever the package says later."""
    path = order.work / RECIPE_FILE
    if not path.is_file():
        files.write(path, config.text(course.choose(order)))
    return path


def train(order: Order, recipe_file: Path, device: torch.device) -> None:
    """Slices, then steps, or the steps that are still to be done."""
    most = config.load(recipe_file).max_steps
    telling.of(Stage.SLICES)(0.0, "Cutting the scans into slices.")
    tell = telling.of(Stage.TRAINING)
    every = max(1, most // 200)

    def hear(run: Run) -> None:
        if run.step % every == 0:
            tell(min(1.0, run.step / most), f"Step {run.step} of at most {most}.")

    runs.train(
        recipe_file,
        order.collections,
        order.running,
        brain_graph=order.base / inference.BRAIN_FILE,
        device=device,
        begin_with=order.base if order.recipe is None else None,
        tell=hear,
    )
    files.write(order.running / TRAINED_FILE, "")
