"""The images of one series as a `Volume`, with the data sets it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from agent.dicom import file_reader, pixels
from agent.dicom.frames import Frame, frame_count, frames_of
from agent.dicom.pixels import UnreadablePixels
from agent.dicom.source import SourceImages
from agent.dicom.stack import BadGeometry, Stack, arrange
from agent.errors import UnreadableInput
from agent.imaging.volume import Volume

__all__ = ["BadGeometry", "LoadedSeries", "UnreadablePixels", "load"]


@dataclass(frozen=True, kw_only=True)
class LoadedSeries:
    """A volume and the images behind its slices, in the same order."""

    volume: Volume
    source: SourceImages


def load(images: Sequence[Path | Dataset]) -> LoadedSeries:
    """Read the images of ONE series, classic or enhanced, given in any order.

    The slice index grows along the normal of the images (row direction x column direction);
    voxels carry the rescaled grey values. Raises BadGeometry when the images are no regular
    stack, UnreadablePixels when they cannot be decoded.
    """
    datasets = [_dataset(image) for image in images]
    _check_same_series(datasets)
    stack = arrange(_frames(datasets))
    shape = _common_matrix(datasets, stack)
    voxels = np.empty(shape, dtype=np.float32)
    for index, image in enumerate(pixels.read(stack.frames)):
        voxels[index] = image
    voxels.setflags(write=False)  # more than one step works on them
    volume = Volume(
        voxels=voxels,
        affine=stack.affine,
        sources=tuple(map(_source_name, stack.frames)),
        frame_of_reference_uid=Frame(datasets[0]).text("FrameOfReferenceUID") or None,
    )
    return LoadedSeries(volume=volume, source=_source(stack))


def _dataset(image: Path | Dataset) -> Dataset:
    if isinstance(image, Dataset):
        return image
    try:
        return file_reader.read(image)
    except UnreadableInput as error:
        raise UnreadablePixels(str(error)) from error


def _check_same_series(datasets: Sequence[Dataset]) -> None:
    if not datasets:
        raise BadGeometry("The series holds no images.")
    for keyword, words in (
        ("SeriesInstanceUID", "series"),
        ("FrameOfReferenceUID", "frames of reference"),
    ):
        values = {Frame(dataset).text(keyword) for dataset in datasets}
        if len(values) > 1:
            raise BadGeometry(f"The images belong to {len(values)} different {words}.")


def _frames(datasets: Sequence[Dataset]) -> list[Frame]:
    """The slice images of the series: all single-frame images, or the frames of one object."""
    frames = [frame for dataset in datasets for frame in frames_of(dataset)]
    multi_frame = [dataset for dataset in datasets if frame_count(dataset) != 1]
    if any("MOSAIC" in frame.texts("ImageType") for frame in frames):
        raise BadGeometry("The images are mosaics of many slices, which are not read.")
    if not multi_frame and all(frame.number is None for frame in frames):
        return frames
    if len(datasets) > 1:
        raise BadGeometry(
            f"The series holds {len(datasets)} objects, {len(multi_frame)} of them with several "
            "frames; one multi-frame object or single images are needed."
        )
    claimed = frame_count(datasets[0])
    if any(frame.number is None for frame in frames) or claimed != len(frames):
        described = sum(frame.number is not None for frame in frames)
        raise BadGeometry(
            f"The multi-frame image announces {claimed} frames but says of {described} where "
            "they lie."
        )
    stacks = {frame.text("StackID") for frame in frames}
    if len(stacks) > 1:
        raise BadGeometry(f"The object holds {len(stacks)} stacks of slices; one is needed.")
    return frames


def _common_matrix(datasets: Sequence[Dataset], stack: Stack) -> tuple[int, int, int]:
    count = len(stack.frames)
    matrices = {pixels.check(dataset, count) for dataset in datasets}
    if len(matrices) > 1:
        sizes = ", ".join(f"{rows} x {columns}" for rows, columns in sorted(matrices))
        raise BadGeometry(f"The images of the series have different sizes: {sizes}.")
    rows, columns = matrices.pop()
    return count, rows, columns


def _source_name(frame: Frame) -> str:
    uid = frame.text("SOPInstanceUID")
    return uid if frame.number is None else f"{uid}#{frame.number}"


def _source(stack: Stack) -> SourceImages:
    numbers = tuple(frame.number for frame in stack.frames if frame.number is not None)
    if numbers:
        return SourceImages(datasets=(stack.frames[0].dataset,), frame_numbers=numbers)
    return SourceImages(datasets=tuple(frame.dataset for frame in stack.frames))
