"""Which slices of a subject count as abnormal."""

import numpy as np
from numpy.typing import NDArray

from model_training.collection import Subject


def slice_labels(subject: Subject) -> NDArray[np.bool_]:
    """Which source slices are abnormal; all of a subject that is known to be, where nobody drew
    the lesion (a single picture of a set that is only sorted into folders)."""
    touched = np.asarray(subject.lesion.any(axis=(1, 2)))
    return np.ones_like(touched) if subject.abnormal and not touched.any() else touched
