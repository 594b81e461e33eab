"""A Segmentation shows, in patient coordinates, exactly the voxels the model marked."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

import builders
import results
from agent.dicom import volumes
from agent.dicom.objects import segmentation
from agent.dicom.source import SourceImages
from validators import dciodvfy_errors


def built(datasets: Sequence[Dataset]) -> Dataset:
    case = results.analysed(datasets)
    return segmentation.build(case.context, case.findings)


def segment_points_mm(seg: Dataset, number: int) -> NDArray[np.float64]:
    """LPS mm of the pixels of a segment, from the object's own geometry alone."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    down, along = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    points = []
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        named = (groups if "SegmentIdentificationSequence" in groups else shared)[
            "SegmentIdentificationSequence"
        ]
        if named.value[0].ReferencedSegmentNumber == number:
            corner = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
            rows, columns = np.nonzero(frame)
            inside = np.outer(columns * along, cosines[:3]) + np.outer(rows * down, cosines[3:])
            points.append(corner + inside)
    return results.in_order(np.concatenate(points))


def assert_same_places(seg: Dataset, case: results.Analysed) -> None:
    for region in case.findings.regions:
        wanted = results.points_mm(case.findings.labels == region.number, case.volume.affine)
        found = segment_points_mm(seg, region.number)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=0.02)


@pytest.mark.parametrize("name", builders.PLANES)
def test_voxels_lie_where_the_lesion_is_in_every_plane_and_position(name: str) -> None:
    case = results.analysed(builders.flair_series(plane=builders.PLANES[name]))
    assert_same_places(segmentation.build(case.context, case.findings), case)


@pytest.mark.parametrize("name", ["axial oblique", "axial, feet first", "sagittal"])
def test_voxels_of_an_enhanced_series_lie_where_the_lesion_is(name: str) -> None:
    case = results.analysed([builders.enhanced_flair(plane=builders.PLANES[name])])
    assert_same_places(segmentation.build(case.context, case.findings), case)


def test_slices_may_come_in_either_order() -> None:
    case = results.analysed(builders.flair_series()[::-1])
    assert_same_places(segmentation.build(case.context, case.findings), case)


def test_some_frames_of_an_enhanced_object_may_be_analysed_in_any_order() -> None:
    whole = results.analysed([builders.enhanced_flair()])
    order = tuple(range(20, 6, -1))
    at = [number - 1 for number in order]
    affine = whole.volume.affine.copy()
    affine[:3, 3] = whole.volume.position_mm((at[0], 0, 0))
    affine[:3, 0] *= -1
    part = results.Analysed(
        context=replace(
            whole.context, source=SourceImages(datasets=whole.context.study, frame_numbers=order)
        ),
        findings=replace(whole.findings, labels=whole.findings.labels[at]),
        volume=replace(
            whole.volume,
            voxels=whole.volume.voxels[at],
            affine=affine,
            sources=tuple(whole.volume.sources[index] for index in at),
        ),
    )
    seg = segmentation.build(part.context, part.findings)
    assert_same_places(seg, part)
    assert_frames_name_their_source(seg, [builders.enhanced_flair()])


def assert_frames_name_their_source(seg: Dataset, datasets: Sequence[Dataset]) -> None:
    """Each frame names the image, or the frame of it, that lies at its own position."""
    images = {dataset.SOPInstanceUID: dataset for dataset in datasets}
    for groups in seg.PerFrameFunctionalGroupsSequence:
        named = groups.DerivationImageSequence[0].SourceImageSequence[0]
        source = images[named.ReferencedSOPInstanceUID]
        if "ReferencedFrameNumber" in named:
            frame = source.PerFrameFunctionalGroupsSequence[int(named.ReferencedFrameNumber) - 1]
            source = frame.PlanePositionSequence[0]
        place = groups.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(
            np.array(place, dtype=float),
            np.array(source.ImagePositionPatient, dtype=float),
            atol=1e-3,
        )


@pytest.mark.parametrize("name", ["axial", "axial, head to feet", "sagittal"])
def test_each_frame_names_the_image_it_lies_on(name: str) -> None:
    series = builders.flair_series(plane=builders.PLANES[name])
    assert_frames_name_their_source(built(series), series)


def test_highdicom_reads_the_lesions_back_onto_the_source_images(tmp_path: Path) -> None:
    case = results.analysed(builders.flair_series())
    path = tmp_path / "seg.dcm"
    segmentation.build(case.context, case.findings).save_as(path, enforce_file_format=True)
    pixels = highdicom.seg.segread(path).get_pixels_by_source_instance(
        [dataset.SOPInstanceUID for dataset in case.context.study],
        combine_segments=True,
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )
    np.testing.assert_array_equal(pixels, case.findings.labels)


def test_only_slices_with_a_lesion_have_frames() -> None:
    case = results.analysed(builders.flair_series())
    seg = segmentation.build(case.context, case.findings)
    labels = case.findings.labels
    filled = sum(int((labels == n).any(axis=(1, 2)).sum()) for n in (1, 2))
    assert int(seg.NumberOfFrames) == filled
    assert filled < 24


def test_each_segment_is_named_tracked_and_coded() -> None:
    case = results.analysed(builders.flair_series())
    seg = segmentation.build(case.context, case.findings)
    for segment, lesion in zip(seg.SegmentSequence, case.context.lesions, strict=True):
        assert segment.SegmentNumber == lesion.number
        assert segment.TrackingUID == lesion.tracking_uid
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "301766008"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmName == "restorer 1.0.0"


def test_a_result_without_lesions_makes_no_segmentation() -> None:
    case = results.analysed(builders.flair_series(), abnormal=False)
    assert not segmentation.possible(case.context)
    with pytest.raises(ValueError, match="no lesion"):
        segmentation.build(case.context, case.findings)


def test_a_series_without_frame_of_reference_makes_no_segmentation() -> None:
    series = builders.flair_series()
    for dataset in series:
        del dataset.FrameOfReferenceUID
    case = results.analysed(series)
    assert not segmentation.possible(case.context)
    with pytest.raises(ValueError, match="frame of reference"):
        segmentation.build(case.context, case.findings)


def test_lesions_that_do_not_match_the_mask_are_refused() -> None:
    case = results.analysed(builders.flair_series())
    short = replace(case.context, lesions=case.context.lesions[:1])
    with pytest.raises(ValueError, match="numbered as in the mask"):
        segmentation.build(short, case.findings)


def test_building_twice_gives_the_same_bytes() -> None:
    first, second = (results.encoded(built(builders.flair_series())) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("enhanced", [False, True])
def test_dciodvfy_finds_no_error(enhanced: bool, tmp_path: Path) -> None:
    series = [builders.enhanced_flair()] if enhanced else builders.flair_series()
    assert dciodvfy_errors(built(series), tmp_path) == []


def test_a_real_series_is_segmented_in_place(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "dicom" / "brainix" / "flair").glob("*.dcm"))
    loaded = volumes.load([dcmread(path) for path in files])
    case = results.of_loaded(loaded)
    seg = segmentation.build(case.context, case.findings)
    assert_same_places(seg, case)
    assert_frames_name_their_source(seg, loaded.source.datasets)
    assert dciodvfy_errors(seg, tmp_path) == []
