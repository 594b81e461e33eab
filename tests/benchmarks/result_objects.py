"""A table of every result object of every kind of acquisition before dciodvfy, dcmqi, highdicom
and a real Orthanc.

`python tests/benchmarks/result_objects.py [MATRIX]`, by default for 256 x 256 images.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import geometries
import object_checks
from object_checks import Verdict
from orthanc import free_port, running_orthanc
from validators import EXPLAINED


def main(size: int) -> int:
    """Print the table; 1 when a judge found a fault."""
    print("| acquisition | object | files | errors | warnings | dcmqi | highdicom | Orthanc |")
    print("|---|---|---|---|---|---|---|---|")
    clean = True
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with running_orthanc(folder / "orthanc", node_port=free_port()) as orthanc:
            for number, (name, make) in enumerate(geometries.GEOMETRIES.items()):
                for verdict in object_checks.judged(make(size), folder / str(number), orthanc):
                    print(_row(name, verdict), flush=True)
                    clean = clean and verdict.clean
    print("\nEvery warning is one of these:")
    for text, why in EXPLAINED.items():
        print(f"- {text}: {why}")
    return 0 if clean else 1


def _row(name: str, verdict: Verdict) -> str:
    cells = (
        *(name, verdict.name, verdict.files, verdict.errors),
        f"{len(verdict.warnings)}, {len(verdict.unexplained)} unexplained",
        "no reader" if verdict.dcmqi is None else verdict.dcmqi or "equal",
        verdict.highdicom or "equal",
        verdict.orthanc or "equal",
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 256))
