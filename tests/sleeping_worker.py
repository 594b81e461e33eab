"""`neurosieve` with a model that sleeps, as a process of its own: a GPU elsewhere, for benchmarks.

`python tests/sleeping_worker.py SECONDS GATE work --config FILE`. The model takes so many seconds
for each batch and no processor, finds a disc for a brain, and nothing wrong with it. One batch at
a time, as on a card, however many studies are under way; none before the file GATE is there.
"""

import sys
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import inference
from agent.cli import app
from agent.imaging import brain
from agent.imaging.scoring import Kind, Maps
from agent.inference import AnomalyModel
from agent.model_toml import ModelDescription

CARD = threading.Lock()


class SleepingModel:
    """An `AnomalyModel` described as the real one."""

    batch = 16

    def __init__(self, description: ModelDescription, seconds: float, gate: Path) -> None:
        self.description = description
        self.runtime = f"asleep for {seconds:g} s a batch"
        self._seconds = seconds
        self._gate = gate

    def under(self, description: ModelDescription) -> "SleepingModel":
        """The same with other thresholds."""
        return SleepingModel(description, self._seconds, self._gate)

    def find_brain(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """A disc in every slice."""
        along = np.linspace(-1.0, 1.0, brain.SIZE)
        disc = (along[:, None] ** 2 + along[None, :] ** 2 < 0.25).astype(np.float32)
        return np.broadcast_to(disc, (len(slices), *disc.shape))

    def run(self, slices: NDArray[np.float32], positions: NDArray[np.float32]) -> Maps:
        """Sleep for each batch; the restoration is what was given."""
        while not self._gate.exists():
            time.sleep(0.01)
        for _ in range(0, len(slices), self.batch):
            with CARD:
                time.sleep(self._seconds)
        nothing = np.zeros((len(slices), len(Kind), *slices.shape[2:]), np.float32)
        middle = slices[:, slices.shape[1] // 2]
        return Maps(restoration=middle, raw=nothing, deviations=nothing.copy())


def main() -> None:
    """Run the command that follows."""
    seconds, gate = float(sys.argv.pop(1)), Path(sys.argv.pop(1))
    load = inference.load

    def asleep(*given: object, **named: object) -> AnomalyModel:
        return SleepingModel(load(*given, **named).description, seconds, gate)  # type: ignore[arg-type]

    inference.load = asleep  # type: ignore[assignment]
    app()


if __name__ == "__main__":
    main()
