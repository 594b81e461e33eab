"""How a run does on tumour-free slices of patients it does not learn from.

Two things are watched: how far an untouched slice comes back changed, and how well synthetic
lesions are found. Real tumours take no part.
"""

from dataclasses import dataclass

import torch
from sklearn.metrics import average_precision_score
from torch import Generator as Chance
from torch import Tensor

from model_training import corruption
from model_training.config import Recipe
from model_training.data import SliceSet
from model_training.methods.method import Parts, middle

SLICES = 64
SEED = 7
DECIDING = "lesion_precision"
STRIDE = 2  # pixels taken for the precision


@dataclass(frozen=True, kw_only=True)
class Exam:
    """Fixed slices, untouched and with synthetic lesions; maps `[n, 1, height, width]`."""

    clean: Tensor
    damaged: Tensor
    brain: Tensor
    foreign: Tensor


def prepare(watched: SliceSet, recipe: Recipe, device: torch.device) -> Exam:
    """The same exam for every run on the same slices, put on the device it is sat on.

    Drawn on the CPU: a GPU's generator would draw another one.
    """
    chance = Chance().manual_seed(SEED)
    chosen = torch.randperm(len(watched.images), generator=chance)[:SLICES]
    clean = torch.from_numpy(watched.images)[chosen].float()
    brain = torch.from_numpy(watched.brain)[chosen][:, None]
    damaged, foreign = corruption.corrupt(clean, brain, chance, recipe.corruption)
    return Exam(
        clean=clean.to(device),
        damaged=damaged.to(device),
        brain=brain.to(device),
        foreign=(foreign > 0.5).to(device),
    )


def sit(exam: Exam, parts: Parts) -> dict[str, float]:
    """Mean absolute error on untouched brain, and pixel precision of residual or marks."""
    values = {"healthy_error": float("nan"), "residual_precision": 0.0, "mark_precision": 0.0}
    with torch.inference_mode():
        if parts.restorer is not None:
            untouched = parts.restorer(exam.clean) - middle(exam.clean)
            values["healthy_error"] = float(untouched.abs()[exam.brain].mean())
            residual = middle(exam.damaged) - parts.restorer(exam.damaged)
            values["residual_precision"] = precision(residual.abs(), exam)
        if parts.marker is not None:
            values["mark_precision"] = precision(parts.marker(exam.damaged), exam)
    values[DECIDING] = max(values["residual_precision"], values["mark_precision"])
    return values


def precision(answer: Tensor, exam: Exam) -> float:
    """Average precision over the brain's pixels."""
    inside = exam.brain[..., ::STRIDE, ::STRIDE]
    wanted = exam.foreign[..., ::STRIDE, ::STRIDE][inside]
    given = answer[..., ::STRIDE, ::STRIDE][inside]
    return float(average_precision_score(wanted.cpu().numpy(), given.cpu().numpy()))
