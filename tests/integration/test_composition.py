"""Each profile gets what it asks for, in its transfer syntax, under UIDs of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset

import builders
import object_checks
import results
from agent.dicom.objects import encoding
from agent.dicom.objects.profiles import USUAL, MapValues, Profile, ReportClass, Slices, Syntax
from storage.enums import Role
from validators import dciodvfy_errors


def made(profile: Profile, *, abnormal: bool = True, slices: int = 6) -> object_checks.Built:
    case = results.analysed(builders.flair_series(slices=slices), abnormal=abnormal)
    objects = object_checks.objects(case, profile)
    for role, dataset in objects:
        encoding.encode(dataset, role, profile)
    return objects


def roles(objects: object_checks.Built) -> list[Role]:
    return list(dict.fromkeys(role for role, _ in objects))


def test_the_usual_set_is_report_segmentation_and_heatmaps() -> None:
    objects = made(USUAL)
    assert roles(objects) == [Role.REPORT, Role.SEGMENTATION, Role.HEATMAP]
    assert len(objects) == 2 + 6


def test_a_profile_can_ask_for_everything() -> None:
    assert set(roles(made(object_checks.EVERYTHING))) == set(Role)


def test_a_report_is_made_whatever_the_profile_leaves_out() -> None:
    nothing_else = Profile(segmentation=False, heatmap=Slices.OFF)
    assert roles(made(nothing_else)) == [Role.REPORT]


def test_without_a_lesion_there_is_neither_segmentation_nor_key_image() -> None:
    objects = made(object_checks.EVERYTHING, abnormal=False)
    assert not {Role.SEGMENTATION, Role.KEY_IMAGES} & set(roles(objects))
    assert {Role.REPORT, Role.HEATMAP, Role.PARAMETRIC_MAP} <= set(roles(objects))


def test_two_profiles_share_no_uid_and_keep_the_lesions_apart_from_that() -> None:
    one, other = made(USUAL), made(replace(USUAL, series_number_base=5000))
    assert {str(d.SOPInstanceUID) for _, d in one}.isdisjoint(
        {str(d.SOPInstanceUID) for _, d in other}
    )
    assert {str(d.SeriesInstanceUID) for _, d in one}.isdisjoint(
        {str(d.SeriesInstanceUID) for _, d in other}
    )
    tracked = [
        [item.TrackingUID for item in dataset.SegmentSequence]
        for objects in (one, other)
        for role, dataset in objects
        if role is Role.SEGMENTATION
    ]
    assert tracked[0] == tracked[1]


@pytest.mark.parametrize(
    ("report", "sop_class"),
    [
        (ReportClass.COMPREHENSIVE_3D, uid.Comprehensive3DSRStorage),
        (ReportClass.COMPREHENSIVE, uid.ComprehensiveSRStorage),
        (ReportClass.ENHANCED, uid.EnhancedSRStorage),
    ],
)
def test_the_report_says_the_same_in_every_class(
    report: ReportClass, sop_class: str, tmp_path: Path
) -> None:
    built = made(Profile(report=report))[0][1]
    usual = made(USUAL)[0][1]
    assert built.SOPClassUID == sop_class
    assert len(built.ContentSequence) == len(usual.ContentSequence)
    assert dciodvfy_errors(built, tmp_path) == []


@pytest.mark.parametrize(
    ("syntax", "of_pictures"),
    [
        (Syntax.EXPLICIT, uid.ExplicitVRLittleEndian),
        (Syntax.IMPLICIT, uid.ImplicitVRLittleEndian),
        (Syntax.RLE, uid.RLELossless),
        (Syntax.JPEG_LS, uid.JPEGLSLossless),
        (Syntax.JPEG_2000, uid.JPEG2000Lossless),
    ],
)
def test_objects_come_in_the_syntax_of_the_destination_and_lose_nothing(
    syntax: Syntax, of_pictures: str, tmp_path: Path
) -> None:
    profile = Profile(parametric_map=MapValues.UINT16, derived_series=True, transfer_syntax=syntax)
    plain = object_checks.objects(results.analysed(builders.flair_series(slices=6)), profile)
    for (role, encoded), (_, as_built) in zip(made(profile), plain, strict=True):
        file = tmp_path / "object.dcm"
        encoded.save_as(file, enforce_file_format=True)
        read = dcmread(file)
        compressed = role in (Role.HEATMAP, Role.PARAMETRIC_MAP, Role.DERIVED_SERIES)
        implicit = syntax is Syntax.IMPLICIT
        otherwise = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        assert read.file_meta.TransferSyntaxUID == (of_pictures if compressed else otherwise)
        assert read.SOPInstanceUID == as_built.SOPInstanceUID
        if "PixelData" in read:
            assert np.array_equal(read.pixel_array, as_built.pixel_array)


def test_building_twice_gives_the_same_bytes_in_every_syntax() -> None:
    for syntax in Syntax:
        profile = replace(object_checks.EVERYTHING, transfer_syntax=syntax)
        first, second = made(profile, slices=4), made(profile, slices=4)
        assert [results.encoded(d) for _, d in first] == [results.encoded(d) for _, d in second]


def test_a_float_map_stays_uncompressed() -> None:
    profile = Profile(parametric_map=MapValues.FLOAT32, transfer_syntax=Syntax.JPEG_LS)
    (placed,) = (dataset for role, dataset in made(profile) if role is Role.PARAMETRIC_MAP)
    assert placed.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian


def map_of(values: MapValues) -> Dataset:
    objects = made(Profile(parametric_map=values))
    return next(dataset for role, dataset in objects if role is Role.PARAMETRIC_MAP)


@pytest.mark.parametrize("values", [MapValues.FLOAT32, MapValues.UINT16])
def test_a_map_says_what_its_values_are_and_where_they_lie(values: MapValues) -> None:
    placed = map_of(values)
    shared = placed.SharedFunctionalGroupsSequence[0]
    mapping = shared.RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert (quantity.CodeValue, quantity.CodeMeaning) == ("130404", "Saliency")
    anatomy = shared.FrameAnatomySequence[0]
    assert anatomy.AnatomicRegionSequence[0].CodeMeaning == "Brain"
    assert placed.ContentQualification == "RESEARCH"


def test_frames_of_a_map_grow_along_the_normal() -> None:
    """dcmqi fills the volume from its lowest frame on, whatever the file says."""
    frames = map_of(MapValues.FLOAT32).PerFrameFunctionalGroupsSequence
    heights = [float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) for frame in frames]
    assert heights == sorted(heights)
    numbers = [frame.FrameContentSequence[0].DimensionIndexValues for frame in frames]
    assert numbers == list(range(1, len(frames) + 1))


def document_of(role: Role) -> Dataset:
    objects = made(object_checks.EVERYTHING)
    return next(dataset for kind, dataset in objects if kind is role)


def test_key_images_are_the_slices_on_which_lesions_are_largest() -> None:
    series = builders.flair_series(slices=6)
    case = results.analysed(series)
    note = document_of(Role.KEY_IMAGES)
    assert note.ConceptNameCodeSequence[0].CodeMeaning == "Of Interest"
    named = [
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for item in note.ContentSequence
        if item.ValueType == "IMAGE"
    ]
    wanted = sorted({lesion.slice_index for lesion in case.context.lesions})
    assert named == [series[index].SOPInstanceUID for index in wanted]


def test_key_images_of_an_enhanced_object_name_its_frames() -> None:
    case = results.analysed([builders.enhanced_flair(slices=6)])
    objects = object_checks.objects(case, Profile(key_images=True))
    note = next(dataset for role, dataset in objects if role is Role.KEY_IMAGES)
    (image,) = (item for item in note.ContentSequence if item.ValueType == "IMAGE")
    frames = {lesion.slice_index + 1 for lesion in case.context.lesions}
    named = image.ReferencedSOPSequence[0].ReferencedFrameNumber
    assert set(np.atleast_1d(named).tolist()) == frames


def test_a_rejection_note_names_every_replaced_object() -> None:
    note = document_of(Role.REJECTION_NOTE)
    title = note.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113001", "DCM")
    referenced = {
        item.ReferencedSOPInstanceUID
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert referenced == {one.sop_uid for one in object_checks.OLD_RESULT}


def test_the_report_names_the_one_it_replaces() -> None:
    report = document_of(Role.REPORT)
    (study,) = report.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (document,) = series.ReferencedSOPSequence
    assert document.ReferencedSOPInstanceUID == object_checks.OLD_RESULT[0].sop_uid
    assert study.StudyInstanceUID == report.StudyInstanceUID


def test_the_derived_series_says_that_no_scanner_made_it() -> None:
    objects = made(Profile(derived_series=True))
    case = results.analysed(builders.flair_series(slices=6))
    images = [dataset for role, dataset in objects if role is Role.DERIVED_SERIES]
    assert len(images) == 6
    for index, image in enumerate(images):
        assert image.ImageType[:2] == ["DERIVED", "SECONDARY"]
        assert image.Manufacturer == "NeuroSieve"
        expected = np.rint(np.clip(case.findings.anomaly_map[index] * 1000, 0, 4095))
        assert np.array_equal(image.pixel_array, expected)
