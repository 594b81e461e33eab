"""All variants of an ablation one after another, the table written anew after each."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from agent import inference
from agent.imaging.brain import BrainNet
from model_training.ablation import preparing, summary, trial, variants
from model_training.ablation.preparing import Preparations
from model_training.ablation.variants import Mask, Variant

log = logging.getLogger(__name__)

PREPARED_FOLDER = "prepared"


def run(
    file: Path,
    data_folder: Path,
    out: Path,
    *,
    steps: int | None,
    only: Sequence[str],
    brain: Path | None,
    device: torch.device,
    command: str,
) -> str:
    """Trains what is not finished yet; returns the table of all that is.

    Raises ValueError for an unknown name in `only` or a file that is no ablation.
    """
    listed = variants.load(file, steps=steps)
    chosen = chosen_of(listed, only)
    out.mkdir(parents=True, exist_ok=True)
    brain_net = inference.load_brain(kept_brain(out, brain))
    nets: dict[Mask, BrainNet] = {Mask.BRAIN: brain_net, Mask.WIDE: preparing.widened(brain_net)}
    preparations = Preparations(out / PREPARED_FOLDER, data_folder, nets)
    for variant in chosen:
        first = variant is listed[0]
        own = out / variant.name
        result = trial.run(variant, own, preparations, each_score=first, device=device)
        log.info("%s: %d steps in %.1f minutes", variant.name, result.steps, result.minutes)
        summary.write(listed, out, command)
    return summary.write(listed, out, command)


def chosen_of(listed: Sequence[Variant], only: Sequence[str]) -> list[Variant]:
    """The variants named, or all."""
    unknown = set(only) - {variant.name for variant in listed}
    if unknown:
        known = ", ".join(variant.name for variant in listed)
        raise ValueError(f"There is no variant {', '.join(sorted(unknown))}, only {known}.")
    return [variant for variant in listed if not only or variant.name in only]


def kept_brain(out: Path, given: Path | None) -> Path:
    """The brain graph of this ablation: kept at the first start, so that all variants see alike."""
    kept = out / inference.BRAIN_FILE
    if not kept.is_file():
        shutil.copyfile(given or inference.default_folder() / inference.BRAIN_FILE, kept)
    return kept
