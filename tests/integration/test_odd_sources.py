"""Images that lack headers, or say in them what no standard allows, get valid results."""

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import config, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from typer.testing import CliRunner

import demo_study
import object_checks
import results
import stored_series
import validators
from agent import composition
from agent.cli import app
from agent.dicom import identifiers
from agent.dicom.objects import profiles
from agent.dicom.objects.profiles import Profile, Slices
from agent.dicom.volumes import LoadedSeries
from object_checks import EVERYTHING, VARIANTS, objects
from orthanc import running_orthanc
from results import Analysed
from storage.enums import Role

HEADERS = (
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
    "FrameOfReferenceUID",
    "PatientPosition",
    "InstanceNumber",
    "SeriesNumber",
    "StudyDescription",
    "Manufacturer",
)


def without(keyword: str, dataset: Dataset) -> None:
    """Remove a header from a data set and from everything inside it."""
    change(dataset, keyword, lambda holder: delattr(holder, keyword))


def emptied(keyword: str, dataset: Dataset) -> None:
    """Leave the header without a value."""
    change(dataset, keyword, lambda holder: setattr(holder, keyword, None))


def change(dataset: Dataset, keyword: str, act: Callable[[Dataset], None]) -> None:
    if keyword in dataset:
        act(dataset)
    for element in dataset:
        for item in element.value if element.VR == "SQ" else ():
            change(item, keyword, act)


REPEATED = frozenset(HEADERS[:9]) - {"PatientSex"}
"""By these an archive files an image."""
LACKS = {"missing": without, "empty": emptied}


def lacking(keywords: Sequence[str], how: str, folder: Path, *, enhanced: bool = False) -> Analysed:
    """The answer to a series without these headers."""
    series = stored_series.small(enhanced=enhanced)
    for dataset in series:
        for keyword in keywords:
            LACKS[how](keyword, dataset)
    return stored_series.analysed(stored_series.stored(series, folder / "source"))


@pytest.mark.parametrize("how", ["missing", pytest.param("empty", marks=pytest.mark.slow)])
@pytest.mark.parametrize("keyword", HEADERS)
def test_a_classic_series_may_lack_any_header(keyword: str, how: str, tmp_path: Path) -> None:
    case = lacking([keyword], how, tmp_path)
    assert stored_series.faults(objects(case, EVERYTHING), case, tmp_path / "made") == []


@pytest.mark.slow
@pytest.mark.parametrize("how", LACKS)
@pytest.mark.parametrize("keyword", HEADERS)
def test_an_enhanced_series_may_lack_any_header(keyword: str, how: str, tmp_path: Path) -> None:
    case = lacking([keyword], how, tmp_path, enhanced=True)
    assert stored_series.faults(objects(case, EVERYTHING), case, tmp_path / "made") == []


@pytest.mark.parametrize("how", LACKS)
@pytest.mark.parametrize("enhanced", [False, True])
def test_a_series_may_lack_all_headers_but_its_place(
    enhanced: bool, how: str, tmp_path: Path
) -> None:
    """The frame of reference stays, so that all kinds of objects are made."""
    gone = [keyword for keyword in HEADERS if keyword != "FrameOfReferenceUID"]
    case = lacking(gone, how, tmp_path, enhanced=enhanced)
    made = objects(case, EVERYTHING)
    assert stored_series.faults(made, case, tmp_path / "made") == []
    for name, (role, profile) in VARIANTS.items():
        variant = [one for one in objects(case, profile) if one[0] is role]
        assert stored_series.faults(variant, case, tmp_path / name.replace(" ", "-")) == []
    back = stored_series.encoded(made, EVERYTHING, tmp_path / "encoded")
    assert {one.PatientID for one in back} <= {"", None}


@pytest.mark.parametrize("how", LACKS)
@pytest.mark.parametrize("enhanced", [False, True])
def test_a_series_may_lack_every_header(enhanced: bool, how: str, tmp_path: Path) -> None:
    case = lacking(HEADERS, how, tmp_path, enhanced=enhanced)
    made = objects(case, EVERYTHING)
    assert {role.value for role, _ in made} >= {"REPORT", "HEATMAP", "KEY_IMAGES"}
    assert stored_series.faults(made, case, tmp_path / "made") == []


WRONG: dict[str, dict[str, bytes]] = {
    "stars for dates": {"StudyDate": b"***", "PatientBirthDate": b"*** "},
    "hour 25": {"StudyTime": b"250000"},
    "dotted dates": {"StudyDate": b"1970.01.01", "PatientBirthDate": b"1970.01.01"},
    "long accession number": {"AccessionNumber": b"ACCESSION-NUMBER-OF-32-CHARACTERS"},
    "long patient ID": {"PatientID": b"P" * 64},
    "patient ID with backslash": {"PatientID": b"12\\34"},
    "sex X": {"PatientSex": b"X "},
    "study ID and description too long": {"StudyID": b"S" * 20, "StudyDescription": b"D" * 100},
    "age in words": {"PatientAge": b"56 years"},
    "weight in words": {"PatientWeight": b"heavy"},
    "names with too many parts": {"PatientName": b"A=B=C=D=E^F^G^H^I^J^K"},
    "a time zone of words": {"TimezoneOffsetFromUTC": b"CET+1"},
    "numbers in words": {"SeriesNumber": b"four", "InstanceNumber": b"n/a "},
    "thickness in words": {"SliceThickness": b"thin", "SpacingBetweenSlices": b"wide"},
    "zero byte at the end": {"PatientID": b"12345\0", "StudyID": b"1\0"},
}
"""Values as bytes, which is how scanners write them past any library."""


def wrong(values: dict[str, bytes], folder: Path) -> list[Path]:
    """The files of a series with these values."""
    series = stored_series.small()
    for dataset in series:
        for keyword, value in values.items():
            stored_series.put(dataset, keyword, value)
    return stored_series.stored(series, folder / "source")


# The node keeps pydicom's warnings out of its log; here they would be errors.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", WRONG)
def test_values_that_no_standard_allows_stop_nothing_and_are_repeated(
    name: str, tmp_path: Path
) -> None:
    """They are what the archive files the images under, so an object must bear them as well."""
    files = wrong(WRONG[name], tmp_path)
    case = stored_series.analysed(files)
    made = objects(case, EVERYTHING)
    found = stored_series.faults(made, case, tmp_path / "made")
    assert stored_series.told(found, WRONG[name]) == []
    source = dcmread(files[0])
    for keyword in REPEATED & set(WRONG[name]):
        assert {str(dataset.get(keyword)) for _, dataset in made} == {str(source.get(keyword))}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("mode", [config.IGNORE, config.WARN, config.RAISE])
def test_all_such_values_at_once_stop_nothing_however_strict_pydicom_is(
    mode: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = {keyword: value for some in WRONG.values() for keyword, value in some.items()}
    files = wrong(values, tmp_path)
    monkeypatch.setattr(config.settings, "reading_validation_mode", mode)
    case = stored_series.analysed(files)
    made = objects(case, EVERYTHING)
    found = stored_series.faults(made, case, tmp_path / "made")
    assert stored_series.told(found, values) == []
    assert len(stored_series.encoded(made[:2], EVERYTHING, tmp_path / "encoded")) > 1


PROFILES = {
    "everything": EVERYTHING,
    "usual": profiles.USUAL,
    "report alone": Profile(segmentation=False, heatmap=Slices.OFF),
    "lesion slices": Profile(heatmap=Slices.LESIONS, key_images=True),
    **{name: profile for name, (_, profile) in VARIANTS.items()},
}
MAPS = {Role.HEATMAP, Role.PARAMETRIC_MAP, Role.DERIVED_SERIES}


@pytest.mark.parametrize("name", PROFILES)
def test_nothing_found_gives_a_report_and_maps_but_nothing_that_points_at_lesions(
    name: str, tmp_path: Path
) -> None:
    series = stored_series.small()
    case = results.analysed(series, abnormal=False)
    profile = PROFILES[name]
    made = objects(case, profile)
    roles = {role for role, _ in made}
    assert roles <= {Role.REPORT, *MAPS, Role.REJECTION_NOTE}
    assert (Role.HEATMAP in roles) == (profile.heatmap is Slices.ALL)
    assert stored_series.faults(made, case, tmp_path) == []


@pytest.mark.parametrize("name", PROFILES)
def test_a_study_that_was_not_analysed_gives_a_report_alone(name: str, tmp_path: Path) -> None:
    context = results.not_analysed(stored_series.small())
    context = replace(context, profile=PROFILES[name])
    ((role, report),) = composition.build(context, None, None)
    assert role is Role.REPORT
    assert validators.dciodvfy_errors(report, tmp_path) == []


def two_series(folder: Path) -> tuple[Analysed, Analysed]:
    """Two FLAIR series of one study, each with an answer of its own."""
    pair = []
    for number, name in ((4, "first"), (7, "second")):
        series = stored_series.small(series=name, number=number, seed=number)
        pair.append(stored_series.analysed(stored_series.stored(series, folder / name)))
    return pair[0], pair[1]


def composed(case: Analysed) -> object_checks.Built:
    """The objects of a first result."""
    assert case.context.source is not None
    loaded = LoadedSeries(volume=case.volume, source=case.context.source)
    context = replace(case.context, profile=EVERYTHING)
    return list(composition.build(context, case.findings, loaded))


def uids_of(made: object_checks.Built) -> set[str]:
    """Every UID in objects that names something, not a class of things."""
    found: set[str] = set()

    def keep(_: Dataset, element: DataElement) -> None:
        if element.VR == "UI" and "Class" not in element.keyword:
            found.add(str(element.value))

    for _, dataset in made:
        dataset.walk(keep)
    return found


def test_two_series_of_one_study_share_no_name_but_those_of_the_study(tmp_path: Path) -> None:
    first, second = two_series(tmp_path)
    head = first.context.head
    assert uids_of(composed(first)) & uids_of(composed(second)) == {
        head.StudyInstanceUID,
        head.FrameOfReferenceUID,
        identifiers.device_uid(first.context.namespace),
        identifiers.model_uid(first.context.namespace, first.context.analysis.model_sha256),
    }


@pytest.mark.peer
def test_the_objects_of_two_series_do_not_collide_in_an_archive(tmp_path: Path) -> None:
    pair = two_series(tmp_path)
    with running_orthanc(tmp_path / "orthanc") as orthanc:
        for number, case in enumerate(pair):
            made = [dataset for _, dataset in composed(case)]
            files = stored_series.stored(made, tmp_path / str(number))
            assert object_checks.ask_orthanc(made, files, orthanc) == ""
        assert orthanc.modalities() == {"SR": 2, "SEG": 2, "OT": 6, "MR": 4, "KO": 2}


@pytest.mark.slow
def test_six_hundred_slices_give_all_objects(tmp_path: Path) -> None:
    files = stored_series.stored(stored_series.small(slices=600, rows=64, columns=64), tmp_path)
    labels = np.zeros((600, 64, 64), dtype=np.uint16)
    for number in range(1, 7):
        labels[10 * number : 600 - 10 * number, 20:30, 8 * number : 8 * number + 7] = number
    case = stored_series.analysed(files, labels)
    started = time.perf_counter()
    made = objects(case, EVERYTHING)
    seconds = time.perf_counter() - started
    print(f"{len(made)} objects in {seconds:.0f} s, {peak_mib():.0f} MiB at most")
    segmentation, report = (dict(made)[role] for role in (Role.SEGMENTATION, Role.REPORT))
    assert int(segmentation.NumberOfFrames) == sum(600 - 20 * number for number in range(1, 7))
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    counts = sorted(len(one.ReferencedSOPSequence) for one in study.ReferencedSeriesSequence)
    assert counts == [1, 600]
    (library,) = (one for one in report.ContentSequence if concept(one) == "111028")
    assert len(library.ContentSequence[0].ContentSequence) < 20
    assert stored_series.faults(stored_series.first_of_each(made), case, tmp_path / "made") == []


def peak_mib() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def concept(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


@pytest.mark.slow
@pytest.mark.parametrize("how", LACKS)
def test_analyse_reads_a_folder_of_images_without_headers(how: str, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    for path in demo_study.IMAGES:
        image = dcmread(path)
        for keyword in HEADERS:
            LACKS[how](keyword, image)
        image.save_as(tmp_path / "study" / path.name, enforce_file_format=True)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["analyse", str(tmp_path / "study"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    kinds = [file.stem.split("-")[1] for file in sorted((out / "dicom").glob("*.dcm"))]
    assert kinds == ["report", *["heatmap"] * 20]
    for file in sorted((out / "dicom").glob("*.dcm"))[:2]:
        assert validators.dciodvfy_errors(dcmread(file), tmp_path) == []
