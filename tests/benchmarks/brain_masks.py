"""How well a model's brain network covers the hand-checked brain masks.

`python tests/benchmarks/brain_masks.py [MODEL_FOLDER] [DATA_FOLDER]` prints the overlap (Dice) of
72 slices by sequence and by level, and the slices it fits worst. It takes about a minute.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import brain_mask_set
from agent import inference
from agent.imaging import head, preprocess
from agent.imaging.brain import BrainNet
from agent.imaging.results import NotAnalysed
from brain_mask_set import Entry, Level, Sequence

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
WORST = 5


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else inference.default_folder()
    data = Path(sys.argv[2]) if len(sys.argv) > 2 else SHARED_DATA
    net = inference.load_brain(folder / inference.BRAIN_FILE)
    overlaps = {entry: overlap(entry, data, net) for entry in brain_mask_set.entries()}
    print("| slices | n | mean Dice | median | least |\n|---|---|---|---|---|")
    for name, values in groups(overlaps):
        row = f"{len(values)} | {np.mean(values):.3f} | {np.median(values):.3f} | {min(values):.3f}"
        print(f"| {name} | {row} |")
    for entry in sorted(overlaps, key=lambda one: overlaps[one])[:WORST]:
        print(f"worst: {entry.mask_file} ({entry.level}) {overlaps[entry]:.3f}")


def groups(overlaps: dict[Entry, float]) -> Iterator[tuple[str, list[float]]]:
    """All slices, those of each sequence with and without skull, and those of each level."""
    yield "all", list(overlaps.values())
    for sequence in Sequence:
        for stripped in (False, True):
            chosen = [
                value
                for entry, value in overlaps.items()
                if entry.sequence is sequence and entry.stripped is stripped
            ]
            if chosen:
                yield f"{sequence}, {'stripped' if stripped else 'with skull'}", chosen
    for level in Level:
        yield level, [value for entry, value in overlaps.items() if entry.level is level]


def overlap(entry: Entry, data: Path, net: BrainNet) -> float:
    """Dice of one slice's mask, on the image's own grid; 0 where no head is found."""
    case = brain_mask_set.load(entry, data)
    factors = preprocess.reduction_factors(case.spacing_mm)
    masks = head.find(
        preprocess.reduced(case.voxels, factors),
        spacing_mm=tuple(np.multiply(case.spacing_mm, factors).tolist()),
        brain_net=net,
    )
    if isinstance(masks, NotAnalysed):
        return 0.0
    part = masks.brain[case.slice_index // factors[0]]
    height, width = case.mask.shape
    found = np.kron(part, np.ones(factors[1:], dtype=np.bool_))[:height, :width]
    return float(2 * (found & case.mask).sum() / max(int(found.sum() + case.mask.sum()), 1))


if __name__ == "__main__":
    main()
