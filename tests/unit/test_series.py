"""Which series is read, and what is said about the others."""

from typing import Any

import pytest
from pydicom.dataset import Dataset

import builders
from agent.dicom import series
from agent.dicom.series import SeriesRules
from agent.errors import ConfigurationError
from storage.records import SeriesDecision


def changed(datasets: list[Dataset], **values: Any) -> list[Dataset]:
    """The same data sets with other header values; None takes an attribute away."""
    for dataset in datasets:
        for keyword, value in values.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
    return datasets


def flair(**values: Any) -> list[Dataset]:
    """A small axial FLAIR with some header values changed."""
    return changed(builders.flair_series(rows=8, columns=8), **values)


def other(name: str, number: int, **values: Any) -> list[Dataset]:
    """A second series of the same study."""
    return changed(builders.flair_series(rows=8, columns=8, series=name, number=number), **values)


def only(choice: series.Choice) -> SeriesDecision:
    (decision,) = choice.decisions
    return decision


def test_an_axial_flair_is_chosen_and_the_reason_names_its_timing() -> None:
    datasets = flair()

    choice = series.choose(datasets)

    assert choice.series_uid == datasets[0].SeriesInstanceUID
    assert only(choice).chosen
    assert only(choice).instance_count == 24
    assert "TI 2500 ms, TE 120 ms, TR 9000 ms" in choice.sentence
    assert "24 slices over 144 mm" in choice.sentence


@pytest.mark.parametrize(
    "description",
    [
        "AX T2 FLAIR",
        "t2_tirm_tra_dark-fluid_p2",
        "t2_space_dark-fluid_tra_iso",
        "sT2W/FLAIR",
        "FLAIR_tra",
        "eFLAIR_longTR SENSE",
        "Ax T2 FLAIR PROPELLER FS",
        "Ax CUBE T2 FLAIR",
        "3D VISTA FLAIR ax",
        "3D_Brain_VIEW_FLAIR_SHC",
        "T2W_FLAIR",
        "OAx FLAIR POST",
        "Fluid Attenuated Inversion Recovery",
    ],
)
def test_flair_is_known_by_the_names_that_makers_give_it(description: str) -> None:
    unknown = {"InversionTime": None, "EchoTime": "", "RepetitionTime": ""}

    assert only(series.choose(flair(SeriesDescription=description, **unknown))).chosen


@pytest.mark.parametrize(
    "description",
    [
        "Ax T1 FLAIR",
        "t1_tirm_tra_dark-fluid",
        "T1W FLAIR +C",
        "FLAIR DWI b1000",
        "FLAIR_ADC",
        "ep2d_flair",
        "EPI FLAIR",
        "3-plane loc FLAIR",
        "FLAIR SUB",
        "FLAIR MIP",
        "Synthetic T2 FLAIR",
        "DIR FLAIR",
        "AX FLAIR C-SPINE",
        "T2 STIR",
    ],
)
def test_a_series_whose_name_says_something_else_is_passed_over(description: str) -> None:
    decision = only(series.choose(flair(SeriesDescription=description)))

    assert not decision.chosen
    assert "its description says" in decision.reason


def test_a_series_with_another_name_is_known_by_its_timing() -> None:
    choice = series.choose(flair(SeriesDescription="AX BRAIN 3", ProtocolName="AX BRAIN 3"))

    assert only(choice).chosen
    assert "by its timing" in choice.sentence


def test_a_series_with_another_name_and_unknown_timing_is_passed_over() -> None:
    datasets = flair(SeriesDescription="AX T2 TSE", ProtocolName="FLAIR", InversionTime=None)

    assert "not a T2-FLAIR by name" in only(series.choose(datasets)).reason


def test_the_protocol_names_a_series_without_description() -> None:
    assert only(series.choose(flair(SeriesDescription="", InversionTime=None))).chosen


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"InversionTime": "800", "EchoTime": "22"}, "inversion time is 800 ms"),
        ({"InversionTime": "170"}, "inversion time is 170 ms"),
        ({"EchoTime": "25"}, "echo time is 25 ms"),
        ({"RepetitionTime": "2000"}, "repetition time is 2000 ms"),
        ({"ScanningSequence": ["EP", "IR"]}, "echo-planar"),
        ({"ScanningSequence": ["GR", "IR"]}, "gradient-echo"),
    ],
)
def test_a_series_named_flair_with_another_timing_is_passed_over(
    values: dict[str, Any], said: str
) -> None:
    decision = only(series.choose(flair(**values)))

    assert "named like a FLAIR but is not T2-FLAIR" in decision.reason
    assert said in decision.reason


def test_damaged_times_count_as_not_stated() -> None:
    datasets = flair()
    for dataset in datasets:
        dataset.InversionTime = 0
        dataset["RepetitionTime"]._value = "long"

    assert only(series.choose(datasets)).chosen


@pytest.mark.parametrize(
    ("image_type", "said"),
    [
        (["ORIGINAL", "PRIMARY", "LOCALIZER"], "a localizer"),
        (["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], "diffusion"),
        (["DERIVED", "SECONDARY", "PROJECTION IMAGE"], "a projection"),
        (["DERIVED", "PRIMARY", "SUB"], "a subtraction"),
        (["ORIGINAL", "PRIMARY", "P", "ND"], "a phase"),
        (["ORIGINAL", "PRIMARY", "R_IR", "R", "IR"], "a phase, real or imaginary"),
        (["DERIVED", "PRIMARY", "ASL", "RELCBF"], "perfusion"),
        (["ORIGINAL", "PRIMARY", "M", "MOSAIC"], "a mosaic"),
        (["DERIVED", "PRIMARY", "T2 MAP"], "a computed map"),
    ],
)
def test_the_image_type_passes_a_series_over(image_type: list[str], said: str) -> None:
    decision = only(series.choose(flair(ImageType=image_type)))

    assert not decision.chosen
    assert said in decision.reason


def test_a_b_value_passes_a_series_over_but_zero_does_not() -> None:
    assert "b-value 1000" in only(series.choose(flair(DiffusionBValue=1000.0))).reason
    assert only(series.choose(flair(DiffusionBValue=0.0))).chosen


@pytest.mark.parametrize("part", ["BRAIN", "HEADNECK", "HEAD AND SPINE", "", "ODD", "HIPPOCAMPUS"])
def test_the_head_and_what_may_be_the_head_are_read(part: str) -> None:
    assert only(series.choose(flair(BodyPartExamined=part))).chosen


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("KNEE", "KNEE"),
        ("CSPINE", "SPINE"),
        ("L SPINE", "SPINE"),
        ("ABDOMEN", "ABDOMEN"),
        ("HIP OF MEYER", "HIP"),
    ],
)
def test_another_part_of_the_body_is_passed_over(part: str, said: str) -> None:
    decision = only(series.choose(flair(BodyPartExamined=part)))

    assert decision.reason == f"it shows another part of the body ({said})"


@pytest.mark.parametrize("plane", builders.PLANES)
def test_only_axial_slices_are_read_however_the_patient_lay(plane: str) -> None:
    datasets = builders.flair_series(rows=8, columns=8, plane=builders.PLANES[plane])

    decision = only(series.choose(datasets))

    assert decision.chosen is plane.startswith("axial")
    if not decision.chosen:
        assert decision.reason == f"its slices are {plane}, axial or thin 3D ones are needed"


def test_three_crossing_planes_are_no_stack() -> None:
    planes = [builders.PLANES[name] for name in ("axial", "sagittal", "coronal")]
    datasets = [
        dataset
        for index, plane in enumerate(planes)
        for dataset in builders.flair_series(slices=4, rows=8, columns=8, plane=plane, seed=index)
    ]

    assert "axial and coronal and sagittal" in only(series.choose(datasets)).reason


@pytest.mark.parametrize(
    ("slices", "spacing_mm", "said"),
    [(1, 5.0, "only 1 image"), (7, 10.0, "only 7 images"), (10, 5.0, "covers only 50 mm")],
)
def test_a_series_too_small_for_a_head_is_passed_over(
    slices: int, spacing_mm: float, said: str
) -> None:
    datasets = builders.flair_series(
        slices=slices, rows=8, columns=8, spacing_mm=(spacing_mm, 1.0, 1.0)
    )

    assert said in only(series.choose(datasets)).reason


def test_images_without_position_are_passed_over() -> None:
    assert "places" in only(series.choose(flair(ImagePositionPatient=None))).reason
    assert "how its slices lie" in only(series.choose(flair(ImageOrientationPatient=None))).reason


def test_other_modalities_and_objects_are_passed_over() -> None:
    assert "not MR but SEG" in only(series.choose(flair(Modality="SEG"))).reason
    secondary_capture = "1.2.840.10008.5.1.4.1.1.7"
    assert "MR images only" in only(series.choose(flair(SOPClassUID=secondary_capture))).reason


def test_without_a_usable_series_the_sentence_names_the_closest_one() -> None:
    sagittal = builders.flair_series(
        rows=8, columns=8, plane=builders.PLANES["sagittal"], description="SAG 3D FLAIR"
    )
    study = sagittal + other("t2", 9, SeriesDescription="AX T2", InversionTime=None)

    choice = series.choose(study)

    assert choice.series_uid is None
    assert choice.sentence == (
        "There is no axial T2-FLAIR of the head among the 2 series. "
        "Series 4 was passed over: its slices are sagittal, "
        "axial or thin 3D ones are needed."
    )


def test_an_empty_study_has_a_sentence_too() -> None:
    choice = series.choose([])

    assert choice == series.Choice(
        series_uid=None, decisions=(), sentence="The study holds no image that can be read."
    )


@pytest.mark.parametrize("change", [None, "AcquisitionContrast"])
def test_an_enhanced_flair_is_chosen_by_its_functional_groups(change: str | None) -> None:
    dataset = builders.enhanced_flair(rows=8, columns=8, description="brain")
    if change:  # without the contrast, the timing must be found
        del dataset.SharedFunctionalGroupsSequence[0].MRImageFrameTypeSequence[0][change]
        del dataset[change]

    choice = series.choose([dataset])

    assert choice.series_uid == dataset.SeriesInstanceUID
    assert "TI 2500 ms, TE 120 ms, TR 9000 ms" in choice.sentence


def test_an_enhanced_object_with_another_inversion_time_is_passed_over() -> None:
    dataset = builders.enhanced_flair(rows=8, columns=8)
    dataset.SharedFunctionalGroupsSequence[0].MRModifierSequence[0].InversionTimes = [800.0]

    assert "inversion time is 800 ms" in only(series.choose([dataset])).reason


def test_rules_from_the_configuration_replace_the_built_in_ones() -> None:
    rules = SeriesRules(include=("^study flair$",), timing_suffices=False, minimum_slices=20)

    assert not only(series.choose(flair(), rules)).chosen
    assert only(series.choose(flair(SeriesDescription="Study FLAIR"), rules)).chosen
    excluding = SeriesRules(exclude=("t2_flair",))
    assert not only(series.choose(flair(SeriesDescription="AX_T2_FLAIR"), excluding)).chosen


def test_a_broken_pattern_is_refused_with_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="not a regular expression"):
        SeriesRules(include=("(",))


@pytest.mark.parametrize(("across_mm", "chosen"), [(1.0, True), (2.0, True), (2.5, False)])
def test_sagittal_slices_are_read_where_they_are_thin(across_mm: float, chosen: bool) -> None:
    thin = builders.flair_series(
        slices=70,
        rows=8,
        columns=8,
        spacing_mm=(across_mm, 20.0, 20.0),
        plane=builders.PLANES["sagittal"],
        description="SAG 3D FLAIR",
    )
    decision = only(series.choose(thin))
    assert decision.chosen is chosen
    if chosen:
        assert decision.reason.startswith("a sagittal T2-FLAIR")


def test_axial_slices_are_preferred_to_thin_sagittal_ones() -> None:
    thin = builders.flair_series(
        slices=70,
        rows=8,
        columns=8,
        spacing_mm=(1.0, 20.0, 20.0),
        plane=builders.PLANES["sagittal"],
        series="sagittal",
        number=9,
    )
    choice = series.choose(flair() + thin)
    chosen = {decision.chosen: decision for decision in choice.decisions}
    assert chosen[True].reason.startswith("an axial T2-FLAIR")
    assert "its slices are not axial" in chosen[False].reason


def test_what_another_program_computed_is_not_read() -> None:
    own = flair()
    others = builders.flair_series(rows=8, columns=8, series="denoised", number=9)
    for image in others:
        image.ImageType = ["DERIVED", "SECONDARY"]
        image.Manufacturer = "Denoiser Ltd"
    choice = series.choose(own + others)
    assert choice.series_uid == own[0].SeriesInstanceUID
    reasons = {one.series_uid: one.reason for one in choice.decisions}
    assert "by Denoiser Ltd, not by the scanner" in reasons[others[0].SeriesInstanceUID]


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("T1 Meyer Anna FLAIR", "t1 … … flair"),
        ("DWI Meyer", "dwi"),
        ("subtractmeyer FLAIR", "subtract…"),
        ("b 1234 FLAIR", "b …"),
    ],
)
def test_a_reason_repeats_only_words_of_the_rule(description: str, said: str) -> None:
    """Whatever else a description holds may be a patient's name."""
    choice = series.choose(flair(SeriesDescription=description))

    assert only(choice).reason == f'its description says "{said}"'
    assert "eyer" not in choice.sentence
