"""Cuts the power while a node receives, again and again, and counts what is gone afterwards.

python tests/benchmarks/power_cuts.py --cuts 50        (as root, from the repository)
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import power
from disks import power_disk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1000)
    asked = parser.parse_args()
    acknowledged, gone = 0, 0
    for number in range(asked.cuts):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "node"
            with power_disk(folder / "data", Path(name) / "disk.img") as disk:
                count, missing = power.lost(folder, disk, seed=asked.seed + number)
        acknowledged += count
        gone += len(missing)
    print(f"{asked.cuts} power cuts: {acknowledged} images acknowledged, {gone} of them gone")


if __name__ == "__main__":
    main()
