"""How well healthy slices are restored, beside ways that know nothing of disease."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging.preprocess import TISSUE_VALUE, ModelInput
from agent.imaging.scoring import Maps
from model_training.data import SliceSet
from model_training.evaluation import resampling
from model_training.evaluation.metrics import Floats
from model_training.evaluation.resampling import Interval
from model_training.evaluation.synthetic import Family, Twin

Image = NDArray[np.float32]
Restore = Callable[[ModelInput, Maps], Image]
BLUR_PIXELS = 5
NEAR = 0.1  # relative height: training slices this close show the same anatomy
MODEL, COPY = "model", "the slice itself"


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """Mean absolute errors against the untouched slice, brain tissue being 0.4: in untouched
    slices over the brain, in damaged ones over the lesion, by family."""

    name: str
    healthy: Interval
    in_lesion: dict[Family, Interval]


def measure(twins: dict[Family, list[Twin]], training: SliceSet) -> list[Restoration]:
    """The model, a blur, the mean of the training slices, and no restoration at all."""
    ways: dict[str, Restore] = {
        MODEL: lambda _, maps: maps.restoration,
        f"mean of {BLUR_PIXELS} x {BLUR_PIXELS} pixels": lambda seen, _: blurred(middle(seen)),
        "mean of the training slices": lambda seen, _: usual(seen, training),
        COPY: lambda seen, _: middle(seen),
    }
    return [
        Restoration(
            name=name,
            healthy=healthy_error(next(iter(twins.values())), restore),
            in_lesion={family: lesion_error(part, restore) for family, part in twins.items()},
        )
        for name, restore in ways.items()
    ]


def healthy_error(twins: Sequence[Twin], restore: Restore) -> Interval:
    """Of untouched slices, over the brain."""
    errors = [
        np.abs(restore(one.clean, one.clean_maps) - middle(one.clean))[one.clean.brain]
        for one in twins
    ]
    return over_subjects(errors)


def lesion_error(twins: Sequence[Twin], restore: Restore) -> Interval:
    """Of damaged slices, over the lesion."""
    errors = [
        np.abs(restore(one.damaged, one.damaged_maps) - middle(one.clean))[one.foreign]
        for one in twins
    ]
    return over_subjects(errors)


def over_subjects(errors: Sequence[NDArray[np.floating]]) -> Interval:
    """Mean over subjects of each one's mean over pixels."""
    means: Floats = np.array([float(part.mean()) for part in errors])
    return resampling.interval(resampling.mean(means), len(means))


def middle(seen: ModelInput) -> Image:
    """The slices without their neighbours."""
    return seen.slices[:, seen.slices.shape[1] // 2]


def blurred(image: Image) -> Image:
    """The mean of each pixel's box."""
    return np.asarray(ndimage.uniform_filter(image, (1, BLUR_PIXELS, BLUR_PIXELS)))


def usual(seen: ModelInput, training: SliceSet) -> Image:
    """For each slice the mean training brain at its height, plain tissue where there is none."""
    return np.stack([usual_at(float(height), training) for height in seen.positions])


def usual_at(height: float, training: SliceSet) -> Image:
    """Mean of the training brains near a height."""
    away = np.abs(training.positions - height)
    near = away <= max(NEAR, float(away.min()))
    brain = training.brain[near]
    image = training.images[near][:, training.images.shape[1] // 2].astype(np.float32)
    total = (image * brain).sum(axis=0)
    count = brain.sum(axis=0)
    plain: Image = np.full_like(total, TISSUE_VALUE)
    np.divide(total, count, out=plain, where=count > 0)
    return plain
