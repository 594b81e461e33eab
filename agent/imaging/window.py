"""Grey windows: what the source asks for, whether that shows the head, and what to use if not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SAMPLED_VOXELS = 250_000  # as many give the shares to a tenth of a percent
# Shares of the head's tissue, measured on two FLAIR series. Their own windows leave at most 1 %
# white and spread it over 0.4 to 0.6 of the greys. As hard a window as 15 % about the brain's grey
# makes a quarter white; one so wide that the brain has a twelfth of white spreads it over 0.13.
MOST_WHITE = 0.3
MOST_BLACK = 0.85
BLACK_LEVEL = 0.06
LEAST_SPREAD = 0.2  # between the 5th and 95th percentile: less is one flat grey
MOST_AIR = 0.5  # grey of the air: texts are white and need a dark ground


@dataclass(frozen=True, kw_only=True)
class Window:
    """Values at or below `black` are drawn black, from `white` on white, in the image's units.

    `sigmoid` is the soft curve of PS3.3 C.11.2.1.3.1 with half its width on each side.
    """

    black: float
    white: float
    sigmoid: bool = False

    def levels(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Grey 0 to 255 of values."""
        level = self.shares(values)
        level *= 255.0
        level += 0.5
        return level.astype(np.uint8)

    def shares(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Brightness 0 to 1 of values."""
        width = self.white - self.black
        share = values * np.float32(1.0 / width)
        share -= np.float32(self.black / width)
        if self.sigmoid:
            return np.asarray(0.5 + 0.5 * np.tanh(2.0 * share - 1.0), dtype=np.float32)
        return np.clip(share, 0.0, 1.0, out=share)


def choose(voxels: NDArray[np.float32], stated: Sequence[Window]) -> Window:
    """The first stated window that shows the head, else one fitted to it."""
    sample = _sample(voxels)
    return next((one for one in stated if is_useful(sample, one)), _fitted(sample))


def is_useful(voxels: NDArray[np.float32], window: Window) -> bool:
    """Whether the tissue is neither mostly white, nor mostly black, nor flat, and the air dark."""
    if not window.white > window.black:
        return False
    shares = window.shares(voxels.ravel())
    head = voxels.ravel() > voxels.mean()
    tissue, air = shares[head], shares[~head]
    if not tissue.size:
        return False
    low, high = np.percentile(tissue, (5.0, 95.0))
    return bool(
        np.mean(tissue >= 0.995) <= MOST_WHITE
        and np.mean(tissue <= BLACK_LEVEL) <= MOST_BLACK
        and high - low >= LEAST_SPREAD
        and np.median(air) <= MOST_AIR
    )


def _fitted(voxels: NDArray[np.float32]) -> Window:
    """From the air to the brightest tissue, but for the fat of the scalp."""
    black = float(np.percentile(voxels, 1.0))
    tissue = voxels[voxels > voxels.mean()]
    white = float(np.percentile(tissue, 99.5)) if tissue.size else black
    return Window(black=black, white=max(white, black + 1e-6 * max(1.0, abs(black))))


def _sample(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every n-th voxel along each axis, so that a whole-head volume costs no more than a few."""
    step = max(1, round((voxels.size / _SAMPLED_VOXELS) ** (1 / 3)))
    across = max(1, min(step, voxels.shape[0] // 12))
    return voxels[::across, ::step, ::step]
