"""A profile names what a destination gets, and any difference makes it another one."""

from dataclasses import fields, replace

import pytest

from agent.dicom.objects.profiles import (
    USUAL,
    MapValues,
    Profile,
    ReportClass,
    Slices,
    Syntax,
)
from storage.enums import Role

OTHER = Profile(
    report=ReportClass.ENHANCED,
    segmentation=False,
    heatmap=Slices.LESIONS,
    parametric_map=MapValues.UINT16,
    key_images=True,
    derived_series=True,
    rejection_note=True,
    transfer_syntax=Syntax.RLE,
    series_number_base=5000,
    series_descriptions=((Role.REPORT, "Research report"),),
)


@pytest.mark.parametrize("name", [field.name for field in fields(Profile)])
def test_every_difference_makes_another_profile(name: str) -> None:
    changed = replace(USUAL, **{name: getattr(OTHER, name)})
    assert changed.digest != USUAL.digest
    assert replace(changed).digest == changed.digest


def test_the_usual_profile_is_report_segmentation_and_heatmap() -> None:
    assert USUAL.segmentation
    assert USUAL.heatmap is Slices.ALL
    assert (USUAL.parametric_map, USUAL.key_images) == (MapValues.OFF, False)
    assert not USUAL.derived_series


def test_each_role_has_a_series_number_and_a_marked_description() -> None:
    assert len({USUAL.series_number(role) for role in Role}) == len(Role)
    for role in Role:
        assert "RESEARCH" in USUAL.series_description(role)
        assert len(USUAL.series_description(role)) <= 64
    assert OTHER.series_number(Role.REPORT) == 5003
    assert OTHER.series_description(Role.REPORT) == "Research report"


@pytest.mark.parametrize("text", ["AI report", f"RESEARCH {'x' * 60}"])
def test_a_description_without_marking_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RESEARCH and at most 64"):
        Profile(series_descriptions=((Role.REPORT, text),))
