"""The training loop: draw, corrupt, learn, look, keep; read it from top to bottom."""

import csv
import io
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator as Chance
from torch.nn import functional

from model_training import checkpoint, corruption, files, validation, weights
from model_training.config import Recipe
from model_training.data import SliceSet
from model_training.methods import catalogue
from model_training.methods.method import Batch, Method, middle
from model_training.validation import Exam
from model_training.weights import Weights

log = logging.getLogger(__name__)

LOSS_FILE = "losses.csv"
VALIDATION_FILE = "validation.csv"
UPPER_WEIGHT = 2.0  # most lesion-free slices of tumour patients lie low; the upper ones count twice
CHANGED = 0.02  # a difference that counts as damage
CPU = torch.device("cpu")


@dataclass(kw_only=True)
class Run:
    """What changes while training. `best` and `best_step` belong to the best look so far."""

    method: Method
    chance: Chance
    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    best_step: int = 0


def start(recipe: Recipe, device: torch.device, learnt: Weights | None = None) -> Run:
    """A fresh run with the recipe's seed; the networks begin alike on every device, or with what
    a model has learnt before."""
    torch.manual_seed(recipe.seed)
    method = catalogue.build(recipe)
    if learnt is not None:
        weights.take(method.networks, learnt, recipe.name)
    method.networks.to(device)
    return Run(method=method, chance=Chance(device).manual_seed(recipe.seed))


def train(
    recipe: Recipe,
    slices: SliceSet,
    folder: Path,
    *,
    watched: SliceSet,
    device: torch.device = CPU,
    learnt: Weights | None = None,
    tell: Callable[[Run], None] | None = None,
) -> Run:
    """Trains until steps, minutes or patience are used up; goes on from a checkpoint.

    `watched` are tumour-free slices of other patients, by which the run is stopped; a run without
    a checkpoint begins with the weights `learnt`. A run that is gone on with draws what an unbroken
    one would; on the CPU its networks are the same bit for bit, while a GPU may add in another
    order. The networks come back on the CPU, where they are scored and exported. `tell` is called
    after every step.
    """
    torch.set_num_threads(recipe.threads)
    run = begun(recipe, folder, device, learnt)
    images = torch.from_numpy(slices.images).to(device)
    brains = torch.from_numpy(slices.brain)[:, None].to(device)
    shares = drawn_how_often(slices).to(device)
    exam = validation.prepare(watched, recipe, device)
    count = len(slices.images)
    log.info("%d tumour-free slices of %d subjects, on %s", count, slices.subjects, device.type)
    began = time.monotonic() - run.seconds
    while not finished(run, recipe):
        chosen = torch.multinomial(shares, recipe.batch, replacement=True, generator=run.chance)
        batch = draw(images[chosen].float(), brains[chosen], recipe, run.chance)
        set_rates(run, recipe)
        values = run.method.learn(batch, step=run.step)
        run.step += 1
        run.seconds = time.monotonic() - began
        record(folder / LOSS_FILE, run, values)
        if tell is not None:
            tell(run)
        if run.step % recipe.checkpoint_every == 0:
            look(run, exam, folder)
            checkpoint.save(folder, state_of(run))
            log.info("step %d, %.0f s, %s", run.step, run.seconds, values)
    checkpoint.save(folder, state_of(run))
    run.method.networks.to(CPU)
    return run


def begun(recipe: Recipe, folder: Path, device: torch.device, learnt: Weights | None) -> Run:
    """A run as its checkpoint left it, or a fresh one where there is none."""
    run = start(recipe, device, learnt)
    saved = checkpoint.load(folder)
    if saved is not None:
        restore(run, saved)
    forget_after(folder / LOSS_FILE, run.step)
    forget_after(folder / VALIDATION_FILE, run.step)
    return run


def drawn_how_often(slices: SliceSet) -> torch.Tensor:
    """The weight of each slice when a batch is drawn."""
    upper = torch.from_numpy(slices.positions) > 0.45
    return 1.0 + (UPPER_WEIGHT - 1.0) * upper.float()


def finished(run: Run, recipe: Recipe) -> bool:
    """Whether steps, minutes or patience are used up."""
    waited = run.step - run.best_step
    return (
        run.step >= recipe.max_steps
        or run.seconds >= 60 * recipe.max_minutes
        or (run.best_step > 0 and waited >= recipe.patience_steps)
    )


def draw(image: torch.Tensor, brain: torch.Tensor, recipe: Recipe, chance: Chance) -> Batch:
    """A batch, varied and damaged."""
    clean, brain = corruption.augment(image, brain, chance)
    damaged, foreign = corruption.corrupt(clean, brain, chance, recipe.corruption)
    difference = middle(damaged - clean).abs()
    return Batch(
        clean=clean,
        damaged=damaged,
        brain=brain,
        support=(functional.max_pool2d(brain.float(), 5, 1, 2) > 0).float(),
        changed=(difference > CHANGED).float(),
        foreign=(foreign > 0.5).float(),
        chance=chance,
    )


def look(run: Run, exam: Exam, folder: Path) -> None:
    """Notes how the run does on other patients' healthy slices and on synthetic lesions."""
    values = validation.sit(exam, run.method.parts())
    record(folder / VALIDATION_FILE, run, values)
    if values[validation.DECIDING] > run.best:
        run.best, run.best_step = values[validation.DECIDING], run.step
    log.info("step %d: %s", run.step, values)


def set_rates(run: Run, recipe: Recipe) -> None:
    """Linear warm-up, then a cosine to a twentieth; depends on the step alone."""
    warm = min(1.0, (run.step + 1) / recipe.warmup_steps)
    factor = warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * run.step / recipe.max_steps)))
    for name, optimiser in run.method.optimisers.items():
        for group in optimiser.param_groups:
            group["lr"] = factor * getattr(recipe, f"{name}_rate")


def record(path: Path, run: Run, values: Mapping[str, float]) -> None:
    """Appends one line to a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as handle:
        writer = csv.writer(handle)
        if new:
            writer.writerow(["step", "seconds", *values])
        writer.writerow([run.step, round(run.seconds, 1), *values.values()])


def forget_after(path: Path, step: int) -> None:
    """Drops the lines of steps that were done after the last checkpoint: they come again."""
    if not path.is_file():
        return
    with path.open(newline="") as handle:
        lines = list(csv.reader(handle))
    whole = [line for line in lines[1:] if len(line) == len(lines[0])]  # the last may be cut off
    kept = [line for line in whole if int(line[0]) <= step]
    if not kept:
        path.unlink()
        return
    text = io.StringIO(newline="")
    csv.writer(text).writerows([lines[0], *kept])
    files.write(path, text.getvalue())


def state_of(run: Run) -> dict[str, Any]:
    """Everything a resumed run needs."""
    return {
        "step": run.step,
        "seconds": run.seconds,
        "best": run.best,
        "best_step": run.best_step,
        "device": run.chance.device.type,
        "chance": run.chance.get_state(),
        "networks": run.method.networks.state_dict(),
        "optimisers": {name: one.state_dict() for name, one in run.method.optimisers.items()},
    }


def restore(run: Run, state: dict[str, Any]) -> None:
    """Puts a saved state back, on whatever device the run is now.

    The generator of another kind of device cannot go on with the draws: it is seeded anew.
    """
    run.step, run.seconds = state["step"], state["seconds"]
    run.best, run.best_step = state["best"], state["best_step"]
    here, there = run.chance.device.type, state.get("device", CPU.type)  # once all ran on the CPU
    if here == there:
        run.chance.set_state(state["chance"])
    else:
        # Not by the recipe's seed alone, which would draw the first batches again.
        run.chance.manual_seed(run.chance.initial_seed() + run.step)
        log.warning("the run comes from %s and goes on with %s: its draws begin anew", there, here)
    run.method.networks.load_state_dict(state["networks"])
    for name, optimiser in run.method.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
