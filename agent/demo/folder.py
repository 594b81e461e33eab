"""What the demonstration leaves behind: the objects that came back, a picture and a page."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset

from agent.demo.run import Outcome
from agent.dicom import report_page

TILES = 4
REPORT = "report.html"
HEATMAP = "heatmap.png"
SUMMARY = "summary.json"


def write(out: Path, outcome: Outcome) -> None:
    """Fill `out` from the objects in `out/dicom`, as the PACS received them."""
    received = [pydicom.dcmread(path) for path in sorted((out / "dicom").glob("*.dcm"))]
    for report in (one for one in received if one.Modality == "SR"):
        (out / REPORT).write_text(report_page.render(report), encoding="utf-8")
    pictures = [one for one in received if one.Modality == "OT"]
    if pictures:
        _sheet(pictures, outcome).save(out / HEATMAP)
    summary = json.dumps(asdict(outcome), indent=2, default=str)
    (out / SUMMARY).write_text(f"{summary}\n", encoding="utf-8")


def _sheet(pictures: Sequence[Dataset], outcome: Outcome) -> Image.Image:
    """The pictures of the most anomalous slices, side by side, exactly as the PACS got them."""
    in_order = sorted(pictures, key=lambda picture: int(picture.InstanceNumber))
    scores = np.array(outcome.analysis.slice_scores)
    chosen = sorted(np.argsort(-scores, kind="stable")[:TILES])
    tiles = [in_order[index].pixel_array for index in chosen]
    rows = [np.concatenate(tiles[start : start + 2], axis=1) for start in range(0, len(tiles), 2)]
    return Image.fromarray(np.concatenate(rows, axis=0))
