"""Where pixels lie in the patient."""

import numpy as np
from numpy.typing import NDArray

from agent.dicom.frames import Frame

Points = NDArray[np.float64]


def of_pixels(frame: Frame, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Points:
    """LPS mm of the centres of pixels, from the headers alone (PS3.3 C.7.6.2.1.1)."""
    corner, directions, spacing = (
        np.array(frame.numbers(keyword))
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    )
    along = np.outer(columns * spacing[1], directions[:3])
    return np.asarray(corner + along + np.outer(rows * spacing[0], directions[3:]))
