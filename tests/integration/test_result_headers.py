"""Every object belongs to its patient and study, names its makers, and is marked as research."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from pydicom import config, dcmread
from pydicom.dataset import Dataset

import builders
import results
from agent.dicom.objects import heatmap, report, segmentation
from agent.dicom.objects.profiles import Profile
from storage.enums import Role
from validators import dciodvfy_errors

COPIED = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
)


def all_objects(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Segmentation, report and first picture."""
    case = results.analysed(datasets)
    seg = segmentation.build(case.context, case.findings)
    return [
        seg,
        report.build(case.context, findings=case.findings, segmentation=seg),
        next(heatmap.build(case.context, case.findings, case.volume)),
    ]


def test_patient_and_study_are_those_of_the_images() -> None:
    series = builders.flair_series(slices=6)
    for made in all_objects(series):
        assert [made.get(k) for k in COPIED] == [series[0].get(k) for k in COPIED]


def test_every_object_is_marked_as_research() -> None:
    for made in all_objects(builders.flair_series(slices=6)):
        assert made.ContentQualification == "RESEARCH"
        assert made.SeriesDescription.endswith("- RESEARCH ONLY")


def test_each_kind_has_a_series_of_its_own() -> None:
    made = all_objects(builders.flair_series(slices=6))
    assert [each.SeriesNumber for each in made] == [9001, 9003, 9004]
    assert len({each.SeriesInstanceUID for each in made}) == 3


def test_scanner_and_model_are_named_as_contributors() -> None:
    for made in all_objects(builders.flair_series(slices=6)):
        scanner, model = made.ContributingEquipmentSequence[:2]
        assert scanner.Manufacturer == "Builder"
        assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
        assert model.ManufacturerModelName == "restorer 1.0.0"
        assert model.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert model.DeviceUID.startswith("2.25.")


def test_times_are_told_in_the_time_zone_of_the_study() -> None:
    series = builders.flair_series(slices=6)
    for dataset in series:
        dataset.TimezoneOffsetFromUTC = "-0730"
    local = builders.CREATED_AT.astimezone(timezone(-timedelta(hours=7, minutes=30)))
    for made in all_objects(series):
        assert made.ContentDate == local.strftime("%Y%m%d")
        assert made.ContentTime == local.strftime("%H%M%S.%f")


def remove_type_two(dataset: Dataset) -> None:
    for keyword in (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "ReferringPhysicianName",
        "SliceThickness",
        "SpacingBetweenSlices",
        "SpecificCharacterSet",
        "TimezoneOffsetFromUTC",
        "Manufacturer",
        "SeriesDescription",
    ):
        delattr(dataset, keyword)


def empty_type_two(dataset: Dataset) -> None:
    for keyword in ("PatientID", "PatientSex", "StudyID", "StudyTime", "SliceThickness"):
        setattr(dataset, keyword, "")


@pytest.mark.parametrize("change", [remove_type_two, empty_type_two])
def test_images_without_the_usual_headers_get_valid_results(
    change: Callable[[Dataset], None], tmp_path: Path
) -> None:
    series = builders.flair_series(slices=6)
    for dataset in series:
        change(dataset)
    for made in all_objects(series):
        assert made.PatientID == ""
        assert dciodvfy_errors(made, tmp_path) == []


def test_a_sex_that_is_none_of_the_standard_is_left_empty() -> None:
    series = builders.flair_series(slices=6)
    for dataset in series:
        dataset.PatientSex = "0000"
    assert [made.PatientSex for made in all_objects(series)] == ["", "", ""]


def test_headers_that_no_standard_allows_are_repeated_as_they_came(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    series = builders.flair_series(slices=6)
    files = []
    for dataset in series:
        dataset.PatientName = "Single"
        dataset["PatientBirthDate"].value = "19700000"
        dataset["StudyTime"].value = "25:61"
        path = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        files.append(path)
    for made in all_objects([dcmread(path) for path in files]):
        back = tmp_path / "back.dcm"
        made.save_as(back, enforce_file_format=True)
        again = dcmread(back)
        assert again.PatientName == "Single"
        assert (again.PatientBirthDate, again.StudyTime) == ("19700000", "25:61")


@pytest.mark.parametrize("text", ["Research", f"Research {'x' * 55}"])
def test_that_nothing_was_analysed_is_seen_in_the_list_of_series(text: str) -> None:
    """Some viewers show no report without measurements."""
    context = results.not_analysed(builders.flair_series(slices=3))
    described = replace(context, profile=Profile(series_descriptions=((Role.REPORT, text),)))
    made = report.build(described, findings=None, segmentation=None)
    assert made.SeriesDescription.startswith("NOT ANALYSED - ")
    assert "RESEARCH" in made.SeriesDescription.upper()
    assert len(made.SeriesDescription) <= 64


def test_a_description_is_written_in_the_character_set_of_the_study() -> None:
    series = builders.flair_series(slices=3)
    for image in series:
        image.SpecificCharacterSet = "ISO_IR 100"
    case = results.analysed(series)
    described = replace(
        case.context,
        profile=Profile(series_descriptions=((Role.REPORT, "Forschung 研究 RESEARCH"),)),
    )
    made = report.build(described, findings=case.findings, segmentation=None)
    assert made.SeriesDescription == "Forschung ?? RESEARCH"
