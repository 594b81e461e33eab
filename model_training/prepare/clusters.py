"""Groups that must stay in one split, joined where images are copies or nearly the same."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.imaging.volume import Volume

THUMBNAIL = 32  # pixels a side: at 16 different heads look alike, at 64 copies no longer do
LEAST_CORRELATION = 0.98
_BLOCK = 1024  # images compared at once: 4 MB a block against a thousand others

Thumbnail = NDArray[np.float32]


class Groups:
    """Names joined to groups; a group goes by the first of its names in alphabetical order."""

    def __init__(self, names: Iterable[str]) -> None:
        self._above = {name: name for name in names}

    def join(self, one: str, other: str) -> None:
        """Make one group of the groups of two names."""
        first, second = sorted((self.of(one), self.of(other)))
        self._above[second] = first

    def of(self, name: str) -> str:
        """The group of a name."""
        root = name
        while self._above[root] != root:
            root = self._above[root]
        while self._above[name] != root:  # shorten the way for the next question
            self._above[name], name = root, self._above[name]
        return root


def thumbnail(volume: Volume) -> Thumbnail:
    """The middle slice as `THUMBNAIL` x `THUMBNAIL` block means."""
    middle = Image.fromarray(volume.voxels[len(volume.voxels) // 2])
    small = middle.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def lookalikes(thumbnails: Sequence[Thumbnail]) -> Iterator[tuple[int, int]]:
    """Pairs of images that are nearly the same, as they stand or mirrored left to right."""
    if not thumbnails:
        return
    plain = _vectors(np.stack(thumbnails))
    mirrored = _vectors(np.stack(thumbnails)[:, :, ::-1])
    for start in range(0, len(plain), _BLOCK):
        block = plain[start : start + _BLOCK]
        alike = np.maximum(block @ plain.T, block @ mirrored.T) > LEAST_CORRELATION
        for one, other in np.argwhere(alike):
            if start + one < other:
                yield int(start + one), int(other)


def _vectors(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images as vectors of mean 0 and length 1, so that products of two are correlations."""
    vectors = images.reshape(len(images), -1)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1))
