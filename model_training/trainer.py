"""The training loop: corrupt, restore, judge, learn; read it from top to bottom."""

import csv
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator as Chance
from torch import Tensor, nn
from torch.nn import functional

from model_training import checkpoint, corruption, losses
from model_training.config import Recipe
from model_training.data import SliceSet
from model_training.networks import Discriminator, Generator

log = logging.getLogger(__name__)

LOSS_FILE = "losses.csv"
UPPER_WEIGHT = 2.0  # most lesion-free slices of tumour patients lie low; the upper ones count twice
COLUMNS = (
    "step",
    "seconds",
    "reconstruction",
    "dissimilarity",
    "adversarial",
    "matching",
    "hinge",
    "real_logit",
    "fake_logit",
    "penalty",
)


@dataclass(kw_only=True)
class Run:
    """What changes while training."""

    generator: nn.Module
    averaged: nn.Module
    discriminator: Discriminator
    generator_optimiser: torch.optim.Optimizer
    discriminator_optimiser: torch.optim.Optimizer
    chance: Chance
    step: int = 0
    seconds: float = 0.0


def start(recipe: Recipe) -> Run:
    """A fresh run with the recipe's seed."""
    torch.manual_seed(recipe.seed)
    generator = Generator(context=recipe.context, width=recipe.generator_width)
    averaged = Generator(context=recipe.context, width=recipe.generator_width)
    averaged.load_state_dict(generator.state_dict())
    discriminator = Discriminator(width=recipe.discriminator_width)
    for network in (generator, averaged, discriminator):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Run(
        generator=generator,
        averaged=averaged.requires_grad_(False),
        discriminator=discriminator,
        generator_optimiser=torch.optim.Adam(
            generator.parameters(), lr=recipe.generator_rate, betas=(0.9, 0.99)
        ),
        discriminator_optimiser=torch.optim.Adam(
            discriminator.parameters(), lr=recipe.discriminator_rate, betas=(0.0, 0.99)
        ),
        chance=Chance().manual_seed(recipe.seed),
    )


def train(recipe: Recipe, slices: SliceSet, folder: Path) -> Run:
    """Trains until the recipe's steps or minutes are used up; goes on from a checkpoint."""
    torch.set_num_threads(recipe.threads)
    run = start(recipe)
    saved = checkpoint.load(folder)
    if saved is not None:
        restore(run, saved)
        forget_after(folder / LOSS_FILE, run.step)
    images = torch.from_numpy(slices.images)[:, None]
    brains = torch.from_numpy(slices.brain)[:, None]
    weights = 1.0 + (UPPER_WEIGHT - 1.0) * (torch.from_numpy(slices.positions) > 0.45).float()
    began = time.monotonic() - run.seconds
    while run.step < recipe.max_steps and run.seconds < 60 * recipe.max_minutes:
        chosen = torch.multinomial(weights, recipe.batch, replacement=True, generator=run.chance)
        values = learn(run, recipe, images[chosen], brains[chosen])
        run.step += 1
        run.seconds = time.monotonic() - began
        record(folder, run, values)
        if run.step % recipe.checkpoint_every == 0:
            checkpoint.save(folder, state_of(run))
            log.info("step %d, %.0f s, %s", run.step, run.seconds, values)
    checkpoint.save(folder, state_of(run))
    return run


def learn(run: Run, recipe: Recipe, image: Tensor, brain: Tensor) -> dict[str, float]:
    """One step of the discriminator and one of the generator."""
    clean, brain = corruption.augment(image, brain, run.chance)
    damaged = corruption.corrupt(clean, brain, run.chance, recipe.corruption)
    support = (functional.max_pool2d(brain.float(), 5, 1, 2) > 0).float()
    changed = (damaged - clean).abs() > 0.02
    set_rates(run, recipe)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.mixed_precision):
        restored = run.generator(damaged.contiguous(memory_format=torch.channels_last))
    restored = restored.float()
    judged = judge(run, recipe, clean, damaged, restored.detach(), support, changed)
    made = improve(run, recipe, clean, restored, support, changed)
    return judged | made


def judge(
    run: Run,
    recipe: Recipe,
    clean: Tensor,
    damaged: Tensor,
    restored: Tensor,
    support: Tensor,
    changed: Tensor,
) -> dict[str, float]:
    """The discriminator's step: real is untouched brain, fake is what was damaged or restored."""
    noise = recipe.instance_noise * torch.randn(3, *clean.shape, generator=run.chance) * support
    batch = torch.cat([clean + noise[0], restored + noise[1], damaged + noise[2]])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.mixed_precision):
        logits = run.discriminator(batch)
    real, fake, broken = logits.float().chunk(3)
    size = (real.shape[-2], real.shape[-1])
    real_at = losses.patch_weights(support, size)
    fake_at = losses.patch_weights(changed, size)
    hinge = losses.discriminator_hinge(real, fake, real_at, fake_at)
    loss = hinge + 0.5 * losses.weighted_mean(functional.relu(1 + broken), fake_at)
    # As much weight on real as on both kinds of fake, or the logits only learn to say no.
    loss = loss + 0.5 * losses.weighted_mean(functional.relu(1 - real), real_at)
    penalty = torch.zeros(())
    if run.step % recipe.penalty_every == 0:
        # In full precision: a gradient of a gradient in bf16 is mostly rounding.
        leaf = clean.detach().requires_grad_(True)
        penalty = losses.gradient_penalty(run.discriminator(leaf), leaf)
        scale = recipe.penalty_weight * recipe.penalty_every / 2 / real[0].numel()
        loss = loss + scale * penalty
    run.discriminator_optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    run.discriminator_optimiser.step()
    return {
        "hinge": hinge.item(),
        "real_logit": losses.weighted_mean(real, real_at).item(),
        "fake_logit": losses.weighted_mean(fake, fake_at).item(),
        "penalty": penalty.item(),
    }


def improve(
    run: Run, recipe: Recipe, clean: Tensor, restored: Tensor, support: Tensor, changed: Tensor
) -> dict[str, float]:
    """The generator's step: close to the clean slice, and taken for it by the discriminator."""
    weights = support * (1 + (recipe.damage_weight - 1) * changed)
    reconstruction = losses.reconstruction(restored, clean, weights)
    dissimilarity = losses.dissimilarity(restored, clean, support)
    adversarial = matching = torch.zeros(())
    loss = recipe.reconstruction_weight * reconstruction
    loss = loss + recipe.dissimilarity_weight * dissimilarity
    if run.step >= recipe.adversarial_from_step:
        run.discriminator.requires_grad_(False)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.mixed_precision):
            levels = run.discriminator.features(restored)
            logits = run.discriminator.judge(levels[-1]).float()
            with torch.no_grad():
                wanted = run.discriminator.features(clean)
        run.discriminator.requires_grad_(True)
        at = losses.patch_weights(changed, (logits.shape[-2], logits.shape[-1]))
        adversarial = -losses.weighted_mean(logits, at)
        matching = losses.feature_matching(levels, wanted)
        loss = loss + recipe.adversarial_weight * adversarial
        loss = loss + recipe.matching_weight * matching
    run.generator_optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.generator.parameters(), 1.0)
    run.generator_optimiser.step()
    follow(run, recipe)
    return {
        "reconstruction": reconstruction.item(),
        "dissimilarity": dissimilarity.item(),
        "adversarial": adversarial.item(),
        "matching": matching.item(),
    }


def follow(run: Run, recipe: Recipe) -> None:
    """Moves the averaged generator a little toward the current one."""
    decay = min(recipe.average_decay, (1 + run.step) / (10 + run.step))
    with torch.no_grad():
        for slow, fast in zip(run.averaged.parameters(), run.generator.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)


def set_rates(run: Run, recipe: Recipe) -> None:
    """Linear warm-up, then a cosine to a twentieth; depends on the step alone."""
    warm = min(1.0, (run.step + 1) / recipe.warmup_steps)
    factor = warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * run.step / recipe.max_steps)))
    for group in run.generator_optimiser.param_groups:
        group["lr"] = recipe.generator_rate * factor
    for group in run.discriminator_optimiser.param_groups:
        group["lr"] = recipe.discriminator_rate * factor


def record(folder: Path, run: Run, values: dict[str, float]) -> None:
    """Appends one line to the loss table."""
    path = folder / LOSS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as handle:
        writer = csv.writer(handle)
        if new:
            writer.writerow(COLUMNS)
        known = {"step": run.step, "seconds": round(run.seconds, 1), **values}
        writer.writerow([known[column] for column in COLUMNS])


def forget_after(path: Path, step: int) -> None:
    """Drops the lines of steps that were done after the last checkpoint: they come again."""
    with path.open(newline="") as handle:
        lines = list(csv.reader(handle))
    kept = [lines[0], *(line for line in lines[1:] if int(line[0]) <= step)]
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows(kept)


def state_of(run: Run) -> dict[str, Any]:
    """Everything a resumed run needs."""
    return {
        "step": run.step,
        "seconds": run.seconds,
        "chance": run.chance.get_state(),
        "generator": run.generator.state_dict(),
        "averaged": run.averaged.state_dict(),
        "discriminator": run.discriminator.state_dict(),
        "generator_optimiser": run.generator_optimiser.state_dict(),
        "discriminator_optimiser": run.discriminator_optimiser.state_dict(),
    }


def restore(run: Run, state: dict[str, Any]) -> None:
    """Puts a saved state back."""
    run.step, run.seconds = state["step"], state["seconds"]
    run.chance.set_state(state["chance"])
    for name in ("generator", "averaged", "discriminator"):
        getattr(run, name).load_state_dict(state[name])
    run.generator_optimiser.load_state_dict(state["generator_optimiser"])
    run.discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])
