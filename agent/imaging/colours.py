"""The colours of the anomaly map.

From dark violet over red and orange to pale yellow, in the manner of matplotlib's `inferno`: the
lightness (CIELab) rises in equal steps, so the map reads in grey and for the colour-blind too.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.imaging.patch import Patch

_STOPS = np.array(
    [
        (98, 28, 118),
        (139, 35, 112),
        (176, 47, 96),
        (209, 66, 72),
        (233, 94, 45),
        (248, 130, 18),
        (253, 170, 20),
        (248, 211, 66),
        (250, 249, 158),
    ],
    dtype=np.float64,
)
# Weights of grey and colour at the threshold and at the highest value. Together they stay below 1:
# a lesion that is white in the source would wash the colours out.
_GREY = 0.45, 0.34
_COLOUR = 0.50, 0.66


def colours(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """RGB in 0..255 for values in 0..1."""
    stops = np.linspace(0.0, 1.0, len(_STOPS))
    return np.stack([np.interp(values, stops, _STOPS[:, c]) for c in range(3)], axis=-1)


def _table() -> tuple[bytes, list[int]]:
    """Colour and opacity for 0 (nothing) and for 1 (threshold) to 255 (highest value)."""
    values = np.linspace(0.0, 1.0, 255)
    opacity = 1.0 - np.interp(values, (0, 1), _GREY)
    share = np.interp(values, (0, 1), _COLOUR) / opacity
    palette = np.vstack([np.zeros((1, 3)), colours(values) * share[:, None]])
    opaque = np.rint(255 * opacity).astype(int).tolist()
    return np.rint(palette).astype(np.uint8).tobytes(), [0, *opaque]


_PALETTE, _OPACITY = _table()


def veil(anomaly: NDArray[np.float32], *, threshold: float, top: float) -> Patch:
    """What is laid over the grey image: nothing below the threshold, `top` and more strongest."""
    index = (anomaly - np.float32(threshold)) * np.float32(254.0 / (top - threshold))
    index += 1.5
    np.clip(index, 0.0, 255.0, out=index)
    index[anomaly < threshold] = 0.0
    picture = Image.fromarray(index.astype(np.uint8))
    opacity = picture.point(_OPACITY)
    picture.putpalette(_PALETTE)
    return Patch(colour=picture.convert("RGB"), opacity=opacity)


def ramp(width: int, height: int, ground: int) -> Image.Image:
    """The colours from left to right as they look on grey tissue of the level `ground`."""
    values = np.linspace(0.0, 1.0, width, dtype=np.float32)[None].repeat(height, axis=0)
    bar = Image.new("RGB", (width, height), (ground, ground, ground))
    veil(values, threshold=0.0, top=1.0).put(bar, (0, 0))
    return bar
