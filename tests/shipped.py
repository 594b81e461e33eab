"""The shipped brain network, and network answers made by hand."""

from functools import cache

import numpy as np

from agent import inference
from agent.imaging.scoring import Fusion, Kind, Maps
from agent.inference import OnnxBrain

RESIDUAL_ONLY = Fusion(map_weights=(1, 0, 0, 0), score_weights=(1, 0, 0, 0))


@cache
def brain_net() -> OnnxBrain:
    """The shipped graph that finds the brain."""
    return inference.load_brain(inference.default_folder() / inference.BRAIN_FILE)


def maps(
    shape: tuple[int, ...],
    raw: dict[Kind, np.ndarray] | None = None,
    deviations: dict[Kind, np.ndarray] | None = None,
) -> Maps:
    """Maps [slice, row, column] where nothing deviates, save what is given."""
    nothing = np.zeros(shape, dtype=np.float32)

    def stacked(given: dict[Kind, np.ndarray] | None) -> np.ndarray:
        return np.stack([(given or {}).get(kind, nothing) for kind in Kind], axis=1)

    return Maps(restoration=nothing, raw=stacked(raw), deviations=stacked(deviations))
