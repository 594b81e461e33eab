"""Synthetic lesions in the slices of healthy subjects, for a collection that has no real ones.

They are of the family by which `fusion` learns its weights, which no network was trained on; the
dark ones are the bright ones with their sign turned, and nothing was ever learnt from them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray

from agent.imaging.preprocess import MAX_VALUE, ModelInput
from agent.imaging.scoring import Maps
from model_training import data, fusion
from model_training.evaluation.examine import Examined

SEED = 23


class Family(StrEnum):
    """How a lesion differs from brain."""

    BRIGHT = "bright"
    DARK = "dark"


@dataclass(frozen=True, kw_only=True)
class Twin:
    """One subject's slices with a lesion each, `damaged` [n, context, size, size] and `foreign`
    [n, size, size], beside the untouched ones in `clean`; the model's answers to both."""

    name: str
    clean: ModelInput
    clean_maps: Maps
    damaged: ModelInput
    damaged_maps: Maps
    foreign: NDArray[np.bool_]


def twins(
    subjects: Sequence[Examined], answer: Callable[[ModelInput], Maps], family: Family
) -> list[Twin]:
    """Every subject with a lesion in each slice that shows enough brain."""
    found = []
    for number, one in enumerate(subjects):
        slices, foreign = damaged(one.prepared, family, seed=SEED + number)
        keep = one.prepared.brain.mean(axis=(1, 2)) > data.MIN_BRAIN_SHARE
        keep &= foreign.any(axis=(1, 2))
        if not keep.any():
            continue
        clean = only(one.prepared, keep, one.prepared.slices)
        changed = only(one.prepared, keep, slices)
        found.append(
            Twin(
                name=one.subject.name,
                clean=clean,
                clean_maps=answer(clean),
                damaged=changed,
                damaged_maps=answer(changed),
                foreign=foreign[keep],
            )
        )
    return found


def damaged(
    prepared: ModelInput, family: Family, *, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Slices with one lesion each, and where it is in the middle one; some stay as they are."""
    chance = torch.Generator().manual_seed(seed)
    clean = torch.from_numpy(prepared.slices)
    brain = torch.from_numpy(prepared.brain)[:, None]
    changed, foreign = fusion.with_lesions(clean, brain, chance)
    if family is Family.DARK:
        changed = (2 * clean - changed).clamp(0.0, MAX_VALUE)
    return changed.numpy(), foreign[:, 0].numpy()


def only(prepared: ModelInput, keep: NDArray[np.bool_], slices: NDArray[np.float32]) -> ModelInput:
    """Some slices of a volume, as if there were no others."""
    return ModelInput(
        slices=slices[keep],
        positions=prepared.positions[keep],
        brain=prepared.brain[keep],
        head_share=prepared.head_share[keep],
        spacing_mm=prepared.spacing_mm,
        geometry=prepared.geometry,
    )
