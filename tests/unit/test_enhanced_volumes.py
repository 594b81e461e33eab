"""Enhanced (multi-frame) MR as a volume."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import RLELossless

import builders
from agent.dicom import volumes
from agent.dicom.volumes import BadGeometry


def classic_images() -> list[Dataset]:
    return builders.flair_series(slices=12, rows=16, columns=20)


def refused(datasets: list[Dataset]) -> str:
    """The sentence with which a series is refused."""
    with pytest.raises(BadGeometry) as caught:
        volumes.load(datasets)
    return str(caught.value)


def enhanced(**how: Any) -> Dataset:
    return builders.enhanced_flair(**({"slices": 12, "rows": 16, "columns": 20} | how))


def test_an_enhanced_object_gives_the_same_volume_as_classic_images() -> None:
    classic, multi = volumes.load(classic_images()), volumes.load([enhanced()])

    assert np.array_equal(multi.volume.voxels, classic.volume.voxels)
    assert multi.volume.affine == pytest.approx(classic.volume.affine)
    assert multi.source.frame_numbers == tuple(range(1, 13))


def test_frames_stored_in_reverse_are_put_in_order() -> None:
    dataset = enhanced()
    plain = dataset.pixel_array
    dataset.PixelData = np.ascontiguousarray(plain[::-1]).tobytes()
    dataset.PerFrameFunctionalGroupsSequence = Items(
        list(dataset.PerFrameFunctionalGroupsSequence)[::-1]
    )

    loaded = volumes.load([dataset])

    assert np.array_equal(loaded.volume.voxels, plain)
    assert loaded.source.frame_numbers == tuple(range(12, 0, -1))
    assert loaded.volume.sources[0] == f"{dataset.SOPInstanceUID}#12"


def test_each_frame_is_rescaled_by_its_own_functional_group() -> None:
    dataset = enhanced()
    for index, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = str(index + 1), "0", "US"
        groups.PixelValueTransformationSequence = Items([item])

    voxels = volumes.load([dataset]).volume.voxels

    assert np.array_equal(voxels[7], dataset.pixel_array[7] * 8.0)


def test_compressed_frames_are_decoded() -> None:
    dataset = enhanced()
    plain = dataset.pixel_array
    dataset.compress(RLELossless)

    assert np.array_equal(volumes.load([dataset]).volume.voxels, plain)


def test_several_stacks_or_objects_are_refused() -> None:
    dataset = enhanced()
    dataset.PerFrameFunctionalGroupsSequence[3].FrameContentSequence[0].StackID = "2"

    assert "2 stacks" in refused([dataset])
    assert "2 objects" in refused([enhanced(), enhanced()])


def test_a_frame_without_description_is_refused() -> None:
    dataset = enhanced()
    del dataset.PerFrameFunctionalGroupsSequence[-1]

    assert "announces 12 frames but says of 11" in refused([dataset])


def test_a_missing_frame_is_located() -> None:
    dataset = enhanced()
    del dataset.PerFrameFunctionalGroupsSequence[5]
    dataset.NumberOfFrames = 11

    assert "1 slice is missing between frame 5 and frame 6" in refused([dataset])
