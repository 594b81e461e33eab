"""The report says what the analysis said, for every study, and says so to machines too."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

import builders
import results
from agent.dicom import volumes
from agent.dicom.objects import report, segmentation, sentences
from agent.dicom.objects.context import ResultContext
from storage import records
from validators import dciodvfy_errors


def built(case: results.Analysed, *, with_segmentation: bool = True) -> Dataset:
    seg = None
    if with_segmentation and segmentation.possible(case.context):
        seg = segmentation.build(case.context, case.findings)
    return report.build(case.context, findings=case.findings, segmentation=seg)


def said_nothing(context: ResultContext) -> Dataset:
    return report.build(context, findings=None, segmentation=None)


def read_back(dataset: Dataset, folder: Path) -> Any:
    path = folder / "report.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return highdicom.sr.srread(path).content


def items(dataset: Dataset) -> Iterator[Dataset]:
    for item in dataset.get("ContentSequence", ()):
        yield item
        yield from items(item)


def coded(dataset: Dataset, name: str) -> list[str]:
    """The values of all CODE items with a concept name's code value."""
    return [
        item.ConceptCodeSequence[0].CodeValue
        for item in items(dataset)
        if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeValue == name
    ]


def texts(dataset: Dataset) -> str:
    return "\n".join(item.TextValue for item in items(dataset) if item.ValueType == "TEXT")


def test_lesions_are_measured_as_segments_and_outlined(tmp_path: Path) -> None:
    case = results.analysed(builders.flair_series())
    content = read_back(built(case), tmp_path)
    volumetric = content.get_volumetric_roi_measurement_groups()
    planar = content.get_planar_roi_measurement_groups()
    for lesion, whole, flat in zip(case.context.lesions, volumetric, planar, strict=True):
        assert whole.tracking_uid == flat.tracking_uid == lesion.tracking_uid
        values = [measurement.value for measurement in whole.get_measurements()]
        wanted = (lesion.volume_ml, lesion.diameter_mm, lesion.mean_score, lesion.peak_score)
        assert values[:4] == pytest.approx(wanted, rel=1e-5)
        assert whole.reference_type.value == "121191"
        segments = [item.referenced_segment_numbers for item in whole.referenced_segment[:1]]
        assert segments == [[lesion.number]]


def test_the_outline_encloses_the_pixels_of_the_largest_slice(tmp_path: Path) -> None:
    case = results.analysed(builders.flair_series())
    groups = read_back(built(case), tmp_path).get_planar_roi_measurement_groups()
    for lesion, group in zip(case.context.lesions, groups, strict=True):
        x, y = group.roi.value.T
        area = abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
        mask = case.findings.labels[lesion.slice_index] == lesion.number
        rows, columns = np.nonzero(mask)
        assert area == mask.sum()
        assert (x.min(), x.max()) == (columns.min(), columns.max() + 1)
        assert (y.min(), y.max()) == (rows.min(), rows.max() + 1)
        image = case.context.study[lesion.slice_index]
        assert group.roi.ContentSequence[0].referenced_sop_instance_uid == image.SOPInstanceUID


def test_an_outline_on_an_enhanced_image_names_its_frame(tmp_path: Path) -> None:
    case = results.analysed([builders.enhanced_flair()])
    groups = read_back(built(case), tmp_path).get_planar_roi_measurement_groups()
    frames = [group.roi.ContentSequence[0].referenced_frame_numbers for group in groups]
    assert frames == [[lesion.slice_index + 1] for lesion in case.context.lesions]


@pytest.mark.parametrize(
    ("abnormal", "verdict", "summary"),
    [(True, "263654008", "111242"), (False, "NOABNORMALITY", "111241")],
)
def test_the_verdict_and_the_scores_stand_in_the_group_of_the_study(
    abnormal: bool, verdict: str, summary: str, tmp_path: Path
) -> None:
    case = results.analysed(builders.flair_series(), abnormal=abnormal)
    dataset = built(case)
    assert coded(dataset, "VERDICT") == [verdict]
    assert coded(dataset, "111017") == [summary]
    (group,) = read_back(dataset, tmp_path).get_image_measurement_groups()
    values = [measurement.value for measurement in group.get_measurements()]
    assert values[:2] == pytest.approx(
        [case.findings.study_score, case.findings.study_p_value], rel=1e-5
    )


def test_nothing_found_is_never_coded_as_normal() -> None:
    dataset = built(results.analysed(builders.flair_series(), abnormal=False))
    assert "17621005" not in results.encoded(dataset).decode("latin-1")
    assert "Disease is not ruled out" in texts(dataset)


def test_a_study_that_was_not_analysed_says_so_and_why() -> None:
    dataset = said_nothing(results.not_analysed(builders.flair_series()))
    assert coded(dataset, "VERDICT") == ["371934000"]
    assert coded(dataset, "111017") == ["111245"]
    assert coded(dataset, "NOTANALYSED") == ["NOSERIES"]
    assert "NOT ANALYSED" in texts(dataset)
    assert "No axial T2-FLAIR series of the head was found." in texts(dataset)
    assert not [item for item in items(dataset) if item.ValueType == "NUM"]


def test_a_reason_that_is_not_known_yet_is_still_reported() -> None:
    context = results.not_analysed(builders.flair_series())
    later = replace(context, analysis=replace(context.analysis, reason_code="LATER"))
    assert coded(said_nothing(later), "NOTANALYSED") == ["OTHER"]


def test_the_report_tells_how_the_result_came_about() -> None:
    case = results.analysed(builders.flair_series())
    words = texts(built(case))
    assert case.context.completion_evidence in words
    assert 'Series 4 "AX T2 FLAIR" (MR, 24 images) read: axial T2-FLAIR of the head' in words
    assert "a" * 64 in words
    assert "thresholds 1" in words
    assert coded(built(case), "INTENDEDUSE") == ["RESEARCHONLY"]


@pytest.mark.parametrize("make", [results.analysed, results.not_analysed])
def test_a_study_that_lacked_images_is_called_incomplete(
    make: Callable[[list[Dataset]], Any],
) -> None:
    """In the impression, which may be all that is read; what is missing stands in the comments."""
    made = make(builders.flair_series())
    whole = made if isinstance(made, ResultContext) else made.context
    evidence = "Incomplete: 20 of the 24 images that PACS holds were received."
    lacking = replace(whole, completion_evidence=evidence)
    assert "INCOMPLETE" not in sentences.impression(whole)
    assert "THE STUDY WAS INCOMPLETE" in sentences.impression(lacking)
    assert f"Completeness of the study: {evidence}" in sentences.comments(lacking)


def test_without_frame_of_reference_lesions_are_outlined_and_fully_measured(
    tmp_path: Path,
) -> None:
    series = builders.flair_series()
    for dataset in series:
        del dataset.FrameOfReferenceUID
    case = results.analysed(series)
    content = read_back(built(case), tmp_path)
    assert content.get_volumetric_roi_measurement_groups() == []
    groups = content.get_planar_roi_measurement_groups()
    assert [len(group.get_measurements()) for group in groups] == [13, 13]


def test_every_image_of_the_study_is_evidence_with_its_own_class() -> None:
    series = builders.flair_series()
    strange = builders.flair_series(slices=2, series="strange")
    for dataset in strange:
        dataset.SOPClassUID = UID("1.2.840.113619.4.2")
    dataset = said_nothing(results.not_analysed([*strange, *series]))
    (study,) = dataset.CurrentRequestedProcedureEvidenceSequence
    named = {
        (item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID)
        for group in study.ReferencedSeriesSequence
        for item in group.ReferencedSOPSequence
    }
    assert named == {(image.SOPInstanceUID, image.SOPClassUID) for image in (*strange, *series)}


def test_the_report_is_preliminary_and_unverified() -> None:
    dataset = built(results.analysed(builders.flair_series()))
    assert dataset.PreliminaryFlag == "PRELIMINARY"
    assert dataset.VerificationFlag == "UNVERIFIED"
    assert dataset.CompletionFlag == "COMPLETE"


def test_private_codes_are_traced_to_their_scheme() -> None:
    dataset = built(results.analysed(builders.flair_series()))
    (scheme,) = dataset.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99NEUROSIEVE"


def test_words_that_the_character_set_lacks_do_not_stop_the_report(tmp_path: Path) -> None:
    series = builders.flair_series(description="Tête axiale")
    for dataset in series:
        dataset.SpecificCharacterSet = "ISO_IR 100"
    context = replace(results.not_analysed(series), completion_evidence="送信終了")
    dataset = said_nothing(context)
    results.encoded(dataset)
    path = tmp_path / "report.dcm"
    dataset.save_as(path, enforce_file_format=True)
    assert 'Series 4 "Tête axiale"' in texts(dcmread(path))
    assert "Completeness of the study: ????" in texts(dcmread(path))


def test_building_twice_gives_the_same_bytes() -> None:
    first, second = (
        results.encoded(built(results.analysed(builders.flair_series()))) for _ in range(2)
    )
    assert first == second


def test_two_results_never_share_a_report() -> None:
    found, clear = (
        built(results.analysed(builders.flair_series(), abnormal=abnormal))
        for abnormal in (True, False)
    )
    assert found.SOPInstanceUID != clear.SOPInstanceUID
    assert found.SeriesInstanceUID != clear.SeriesInstanceUID


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("abnormal", [False, True])
def test_dciodvfy_finds_no_error(enhanced: bool, abnormal: bool, tmp_path: Path) -> None:
    series = [builders.enhanced_flair()] if enhanced else builders.flair_series()
    case = results.analysed(series, abnormal=abnormal)
    assert dciodvfy_errors(built(case), tmp_path) == []


def test_dciodvfy_finds_no_error_in_a_report_of_no_analysis(tmp_path: Path) -> None:
    dataset = said_nothing(results.not_analysed(builders.flair_series(slices=3)))
    assert dciodvfy_errors(dataset, tmp_path) == []


def test_a_real_series_is_reported(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "dicom" / "brainix" / "flair").glob("*.dcm"))
    case = results.of_loaded(volumes.load([dcmread(path) for path in files]))
    dataset = built(case)
    assert dciodvfy_errors(dataset, tmp_path) == []
    assert len(read_back(dataset, tmp_path).get_volumetric_roi_measurement_groups()) == 1


def test_an_analysis_that_names_no_model_can_be_reported(tmp_path: Path) -> None:
    context = results.not_analysed(builders.flair_series(slices=2))
    nameless = replace(
        context.analysis, model_name="", model_version="", model_sha256="", threshold_version=""
    )
    dataset = said_nothing(replace(context, analysis=nameless))
    assert dciodvfy_errors(dataset, tmp_path) == []


def test_a_context_needs_an_image_and_a_time_zone() -> None:
    context = results.not_analysed(builders.flair_series(slices=2))
    with pytest.raises(ValueError, match="at least one image"):
        replace(context, study=())
    naive: records.Analysis = replace(
        context.analysis, created_at=builders.CREATED_AT.replace(tzinfo=None)
    )
    with pytest.raises(ValueError, match="time zone"):
        replace(context, analysis=naive)


def test_the_score_of_the_study_points_at_the_slice_it_comes_from() -> None:
    """OHIF opens no report with a group of measurements that has no coordinates."""
    series = builders.flair_series(slices=8)
    case = results.analysed(series)
    made = report.build(case.context, findings=case.findings, segmentation=None)
    group = next(item for item in items(made) if named(item) == "Measurement Group")
    score = next(item for item in group.ContentSequence if named(item) == "Anomaly score")
    (frame,) = score.ContentSequence
    assert (frame.ValueType, frame.RelationshipType) == ("SCOORD", "INFERRED FROM")
    (image,) = frame.ContentSequence
    highest = series[int(case.findings.slice_scores.argmax())]
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == highest.SOPInstanceUID
    assert max(frame.GraphicData) <= max(highest.Rows, highest.Columns)


def test_key_frames_of_an_enhanced_object_are_named_in_the_library() -> None:
    case = results.analysed([builders.enhanced_flair(slices=12)])
    made = report.build(case.context, findings=case.findings, segmentation=None)
    library = next(item for item in items(made) if named(item) == "Image Library Group")
    frames = [
        item.ReferencedSOPSequence[0].ReferencedFrameNumber
        for item in library.ContentSequence
        if item.ValueType == "IMAGE"
    ]
    assert frames == sorted({lesion.slice_index + 1 for lesion in case.context.lesions})


def named(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence", [])
    return str(names[0].CodeMeaning) if names else ""
