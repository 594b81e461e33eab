"""Good volumes made unfit on purpose: artefacts, another plane, a field of view that cuts."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from agent.imaging.volume import Volume


def noisy(volume: Volume, share: float, *, seed: int = 0) -> Volume:
    """Rician noise, its deviation a share of tissue."""
    chance = np.random.default_rng(seed)
    deviation = share * tissue(volume.voxels)
    real, imaginary = chance.normal(0, deviation, (2, *volume.voxels.shape))
    return holding(volume, np.hypot(volume.voxels + real, imaginary))


def ghosted(volume: Volume, share: float, *, axis: int = 2) -> Volume:
    """The head once more, half a field of view away, as from pulsation along the phase axis."""
    voxels = volume.voxels
    return holding(volume, voxels + share * np.roll(voxels, voxels.shape[axis] // 2, axis))


def moved(volume: Volume, distance_mm: float, *, share: float = 0.3, seed: int = 0) -> Volume:
    """A patient who lay elsewhere while a share of the rows of k-space was read, in bursts; the
    middle of k-space is read at rest."""
    chance = np.random.default_rng(seed)
    rows, columns = (np.fft.fftfreq(size) for size in volume.voxels.shape[1:])
    order = np.argsort(rows)
    parts = []
    for part in volume.voxels:
        burst = np.repeat(chance.random(len(rows) // 12 + 1) < share, 12)[: len(rows)]
        away = np.zeros(len(rows), dtype=np.bool_)
        away[order] = burst
        away[np.abs(rows) < 0.02] = False
        down, right = chance.normal(0, distance_mm, 2) / np.array(volume.spacing_mm[1:])
        turn = np.exp(-2j * np.pi * (rows[:, None] * down + columns * right))
        spectrum = np.fft.fft2(part)
        parts.append(np.abs(np.fft.ifft2(np.where(away[:, None], spectrum * turn, spectrum))))
    return holding(volume, np.stack(parts))


def blurred(volume: Volume, deviation_mm: float) -> Volume:
    """Smoothed inside each slice."""
    _, row, column = volume.spacing_mm
    widths = (0, deviation_mm / row, deviation_mm / column)
    return holding(volume, ndimage.gaussian_filter(volume.voxels, widths))


def cut(volume: Volume, share: float) -> Volume:
    """Without the columns on one side, up to a share of the head's width."""
    head = np.flatnonzero((volume.voxels > 0.3 * tissue(volume.voxels)).any(axis=(0, 1)))
    first = int(head[0] + share * (head[-1] - head[0]))
    return replace(volume, voxels=np.ascontiguousarray(volume.voxels[:, :, first:]))


def upper_part(volume: Volume, share: float) -> Volume:
    """The uppermost slices alone, a share of all; `volume` runs from feet to head."""
    first = round((1 - share) * len(volume.voxels))
    return replace(volume, voxels=volume.voxels[first:], sources=volume.sources[first:])


def coronal(volume: Volume) -> Volume:
    """Coronal sections that claim to be axial; `volume` is in canonical order."""
    return resliced(volume, (1, 0, 2))


def sagittal(volume: Volume) -> Volume:
    """Sagittal sections that claim to be axial; `volume` is in canonical order."""
    return resliced(volume, (2, 0, 1))


def resliced(volume: Volume, axes: tuple[int, int, int]) -> Volume:
    """Sections along other axes, the head upright in them, under the affine of axial ones."""
    voxels = np.ascontiguousarray(volume.voxels.transpose(axes)[:, ::-1])
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = (volume.spacing_mm[axis] for axis in axes)
    affine[3, 3] = 1.0
    return Volume(
        voxels=voxels, affine=affine, sources=tuple(str(index) for index in range(len(voxels)))
    )


def tissue(voxels: NDArray[np.float32]) -> float:
    """About the brightness of brain."""
    return float(np.median(voxels[voxels > np.percentile(voxels, 70)]))


def holding(volume: Volume, voxels: NDArray[np.floating]) -> Volume:
    """Other voxels in the same place."""
    return replace(volume, voxels=voxels.astype(np.float32))
