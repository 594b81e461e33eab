"""Collections of drawn heads, in the layout that training reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import head_phantom
from agent import readers


def write(
    folder: Path,
    splits: Sequence[str],
    *,
    lesion_radius_mm: float = 0.0,
    mask: str = "mask.nii.gz",
    subject: str = "",
) -> None:
    """One head for each split named; the subjects are called after the collection, or as given."""
    rows = ["subject,split"]
    for number, split in enumerate(splits):
        phantom = head_phantom.draw(lesion_radius_mm=lesion_radius_mm, seed=number)
        name = f"{subject or folder.name}_{number}"
        (folder / name).mkdir(parents=True)
        for file, values in (
            ("FLAIR.nii.gz", phantom.volume.voxels),
            (mask, phantom.lesion.astype(np.uint8)),
        ):
            readers.write_nifti(folder / name / file, values, phantom.volume)
        rows.append(f"{name},{split}")
    (folder / "split.csv").write_text("\n".join(rows) + "\n")
