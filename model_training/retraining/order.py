"""What is asked of a retraining, and where its pieces lie."""

from dataclasses import dataclass
from pathlib import Path

COLLECTION = "site"


@dataclass(frozen=True, kw_only=True)
class Order:
    """`base` is the model folder that is gone on from, or only compared with where a `recipe` says
    how to learn anew. `run` ends the candidate's version. `steps` 0 leaves the recipe's number."""

    data: Path
    base: Path
    work: Path
    run: str
    private: Path
    recipe: str | None = None
    steps: int = 0
    leave_out: bool = False

    @property
    def collections(self) -> Path:
        """The folder of the one collection that the scans become."""
        return self.work / "data"

    @property
    def checked(self) -> Path:
        """What was taken and what not; there when the collection is whole."""
        return self.work / "checked.json"

    @property
    def running(self) -> Path:
        """The training run: recipe, slices, checkpoint, losses, calibration."""
        return self.work / "run"

    @property
    def exported(self) -> Path:
        """The model folder before anybody has evaluated it."""
        return self.work / "exported"

    @property
    def candidate(self) -> Path:
        """The model folder with its report; there when everything is done."""
        return self.work / "candidate"
