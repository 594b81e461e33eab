"""What a retraining is asked to do, kept in its folder, and the command that does it.

The node never loads torch: a child process does the work and says how far it is.
"""

import json
import sys
from dataclasses import asdict, dataclass
from importlib import util
from pathlib import Path

from agent.errors import ConfigurationError

FOLDER = "training"
MODULE = "model_training.retraining"
WEIGHTS_FILE = "weights.pt"
_ORDER_FILE = "order.json"
_WORK, _SOURCE, _PRIVATE = "work", "source", "private"


@dataclass(frozen=True, kw_only=True)
class Order:
    """The same order twice is the same retraining. `data` is empty where stored studies are used;
    `steps` 0 leaves the recipe's number."""

    data: str
    base: str
    recipe: str | None
    steps: int
    leave_out: bool
    device: str


def save(folder: Path, order: Order) -> None:
    """Keep the order in the folder of its run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _ORDER_FILE).write_text(json.dumps(asdict(order), indent=1) + "\n", encoding="utf-8")


def load(folder: Path) -> Order:
    """The order in the folder of a run."""
    return Order(**json.loads((folder / _ORDER_FILE).read_text(encoding="utf-8")))


def command(folder: Path, order: Order, run: str) -> list[str]:
    """The child that does it, or goes on with it; it ends when its standard input is closed."""
    asked = [
        *(sys.executable, "-m", MODULE, "--with-parent"),
        *("--data", order.data or str(source_of(folder))),
        *("--from", order.base, "--out", str(work_of(folder)), "--run", run),
        # One secret for all runs: a patient keeps the pseudonym, and with it the split.
        *("--private", str(folder.parent / _PRIVATE)),
        *("--steps", str(order.steps), "--device", order.device),
    ]
    if order.recipe is not None:
        asked += ["--recipe", order.recipe]
    return [*asked, *(["--leave-out"] if order.leave_out else [])]


def source_of(folder: Path) -> Path:
    """Where the files of stored studies are linked together."""
    return folder / _SOURCE


def work_of(folder: Path) -> Path:
    """Where the child keeps what it has done."""
    return folder / _WORK


def candidate_of(folder: Path) -> Path:
    """The model folder that a finished run leaves."""
    return work_of(folder) / "candidate"


def checked_of(folder: Path) -> Path:
    """What was taken of the data and what not, and why."""
    return work_of(folder) / "checked.json"


def images_of(folder: Path) -> tuple[Path, ...]:
    """Copies of and links to patients' images; nobody needs them when the run has ended."""
    return source_of(folder), work_of(folder) / "data"


def need_torch() -> None:
    """Raise ConfigurationError where no child could run."""
    if util.find_spec("torch") is None:
        raise ConfigurationError(
            "Retraining needs torch, which is not installed here: `pip install "
            '"neurosieve[train]"`, or let `neurosieve work --training` run where it is.'
        )
