"""The most memory that a listener and a worker take for one series of 600 slices.

`python tests/benchmarks/memory.py`: an axial FLAIR of 256 x 256, sent in one association to a
`listen` process and read by a `work` process, which deliver to DCMTK's storescp.
"""

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import builders
from benchmarks import harness
from benchmarks.harness import Report
from benchmarks.study import SENDER, Site, one_figure, peak_mb, site
from storage.enums import StudyState


def main() -> int:
    """Print the peaks."""
    options = harness.parser(__doc__, rounds=1)
    options.add_argument("--slices", type=int, default=600)
    options.add_argument("--size", type=int, default=256)
    options.add_argument("--settings", nargs="*", default=(), help="TOML lines of [work]")
    asked = options.parse_args()
    peaks: dict[str, list[float]] = {}
    for _ in range(asked.rounds):
        with (
            tempfile.TemporaryDirectory(prefix="nsv-memory-") as scratch,
            site(Path(scratch), together=False, work=asked.settings) as here,
        ):
            idle = {f"{role}, idle": peak_mb(node) for role, node in here.nodes.items()}
            send(here, written(Path(scratch) / "images", asked.slices, asked.size))
            for name, value in (idle | reached(here)).items():
                peaks.setdefault(name, []).append(value)
    figures = [
        replace(one_figure(f"peak memory: {name}", "MB", values), remark=f"{asked.slices} slices")
        for name, values in peaks.items()
    ]
    return harness.report(Report(benchmark="memory", figures=figures), asked.json)


def written(folder: Path, slices: int, size: int) -> Path:
    """The drawn head in so many slices over 180 mm, with noise, as files."""
    folder.mkdir()
    spacing_mm = (180.0 / slices, 230.0 / size, 230.0 / size)
    noise = np.random.default_rng(0).integers(0, 16, (size, size), dtype=np.uint16)
    images: list[Dataset] = builders.flair_series(
        slices=slices, rows=size, columns=size, spacing_mm=spacing_mm
    )
    for number, image in enumerate(images):
        image.PixelData = (image.pixel_array + np.roll(noise, number)).tobytes()
        image.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    return folder


def send(here: Site, images: Path) -> None:
    """Send the series and wait until the study has ended."""
    command = [*SENDER, str(here.nodes["listen"].port), str(images)]
    subprocess.run(command, check=True, env=harness.QUICK_ENVIRONMENT, timeout=300)
    here.wait(1)


def reached(here: Site) -> dict[str, float]:
    """The peak of each process, once the study has ended as it should."""
    if not here.count(StudyState.DELIVERED):
        (study,) = here.working.view().studies
        (analysis,) = here.working.view().analyses
        print(f"not read: {study.state} {analysis and analysis.reason}", file=sys.stderr)
    return {role: peak_mb(node) for role, node in here.nodes.items()}


if __name__ == "__main__":
    sys.exit(main())
