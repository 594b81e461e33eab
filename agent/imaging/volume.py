"""A stack of parallel slices with its place in the patient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Voxels `[slice, row, column]`, float32, in the source's units, slices in spatial order.

    `affine` (4 x 4, float64) maps `(slice, row, column, 1)` indices to LPS mm (DICOM PS3.3
    C.7.6.2.1.1: x to the patient's left, y to the back, z to the head). `sources` names where
    each slice came from: a SOP Instance UID, `<uid>#<frame number>` for a frame of an enhanced
    object, or a file name.
    """

    voxels: NDArray[np.float32]
    affine: NDArray[np.float64]
    sources: tuple[str, ...]
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3:
            raise ValueError(f"A volume has three axes, this one has {self.voxels.ndim}.")
        if self.affine.shape != (4, 4):
            raise ValueError(f"An affine is 4 x 4, this one is {self.affine.shape}.")
        if len(self.sources) != self.voxels.shape[0]:
            raise ValueError(
                f"{self.voxels.shape[0]} slices need as many sources, got {len(self.sources)}."
            )

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along slice, row and column axis, in mm."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    def position_mm(self, index: tuple[float, float, float]) -> tuple[float, float, float]:
        """LPS mm of a (fractional) voxel index `(slice, row, column)`."""
        x, y, z, _ = self.affine @ np.array([*index, 1.0])
        return float(x), float(y), float(z)
