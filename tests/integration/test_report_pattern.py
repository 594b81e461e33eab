"""The report says what the marked regions look like, in words, codes and numbers."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

import answers
import builders
import results
from agent.dicom import report_page
from agent.dicom.objects import report, segmentation
from agent.dicom.objects.context import ResultContext
from validators import dciodvfy_errors


def built(case: results.Analysed) -> Dataset:
    seg = segmentation.build(case.context, case.findings) if case.context.lesions else None
    return report.build(case.context, findings=case.findings, segmentation=seg)


def page(case: results.Analysed) -> str:
    return report_page.render(built(case))


def case(*, abnormal: bool = True, mass_like: bool = True) -> results.Analysed:
    return results.analysed(builders.flair_series(), abnormal=abnormal, mass_like=mass_like)


def coded(dataset: Dataset, name: str) -> list[str]:
    """The values of all CODE items with a concept name's code value, in their order."""
    found = []
    for item in dataset.get("ContentSequence", ()):
        if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeValue == name:
            found.append(item.ConceptCodeSequence[0].CodeValue)
        found += coded(item, name)
    return found


def numbers(dataset: Dataset, name: str) -> list[float]:
    """The values of all NUM items with a concept name's code value, in their order."""
    found = []
    for item in dataset.get("ContentSequence", ()):
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == name:
            found.append(float(item.MeasuredValueSequence[0].NumericValue))
        found += numbers(item, name)
    return found


@pytest.mark.parametrize(
    ("abnormal", "mass_like", "code"),
    [(True, True, "MASSLIKE"), (True, False, "WHITEMATTER"), (False, False, "NOREGION")],
)
def test_the_pattern_of_the_study_is_coded(abnormal: bool, mass_like: bool, code: str) -> None:
    assert coded(built(case(abnormal=abnormal, mass_like=mass_like)), "PATTERN") == [code]


def test_each_lesion_says_what_it_looks_like_wherever_it_stands() -> None:
    # Twice each: as a segment and as an outline.
    kinds = ["MASSLIKE"] * 2 + ["WHITEMATTERLIKE"] * 2
    assert coded(built(case()), "REGIONKIND") == kinds


def test_a_mass_like_anomaly_is_named_with_its_region() -> None:
    assert "Pattern: mass-like anomaly (region 1)." in page(case())


def test_white_matter_changes_are_reported_with_where_they_lie_and_never_hidden() -> None:
    found = case(mass_like=False)
    text = page(found)
    assert "2 abnormal regions found" in text
    assert (
        "Pattern: white-matter changes (75% within 10 mm of the ventricles, "
        "88% mirrored in the other half), no mass-like region." in text
    )
    assert coded(built(found), "VERDICT") == ["263654008"]


def test_no_pattern_is_spoken_of_where_nothing_was_found() -> None:
    assert "Pattern:" not in page(case(abnormal=False))


def test_the_measures_behind_the_word_are_given() -> None:
    dataset = built(case())
    assert numbers(dataset, "MASSSCORE") == pytest.approx([0.9, 0.1])
    assert numbers(dataset, "THICKNESS") == pytest.approx([28.0, 8.0])
    assert numbers(dataset, "ASYMMETRY") == pytest.approx([1.0, 0.125])
    assert numbers(dataset, "VENTRICLEDIST") == pytest.approx([12.0, 1.5])


def test_an_analysis_of_an_earlier_version_is_reported_without_a_pattern(tmp_path: Path) -> None:
    """It was stored before regions were told apart."""
    dataset = built(earlier(case()))
    assert coded(dataset, "PATTERN") == coded(dataset, "REGIONKIND") == []
    assert numbers(dataset, "MASSSCORE") == []
    assert "Pattern" not in report_page.render(dataset)
    assert dciodvfy_errors(dataset, tmp_path) == []


def earlier(found: results.Analysed) -> results.Analysed:
    """The same study as version 0.1 stored it."""
    unasked = [
        replace(answers.lesion(replace(one, shape=None)), mass_like=None, mass_score=None)
        for one in found.findings.regions
    ]
    analysis = replace(found.context.analysis, pattern=None, symmetry=None, near_ventricle=None)
    context: ResultContext = replace(found.context, analysis=analysis, lesions=tuple(unasked))
    return replace(found, context=context)


def test_no_code_names_a_disease() -> None:
    """SCT 4147007 is Mass, 108369006 Neoplasm; nothing of ours may claim either."""
    raw = results.encoded(built(case())).decode("latin-1")
    assert "4147007" not in raw
    assert "108369006" not in raw


def test_segments_say_whether_they_are_mass_like() -> None:
    found = case()
    seg = segmentation.build(found.context, found.findings)
    labels = [segment.SegmentLabel for segment in seg.SegmentSequence]
    assert labels == ["Anomaly 1 (mass-like)", "Anomaly 2 (not mass-like)"]


@pytest.mark.parametrize("mass_like", [True, False])
def test_dciodvfy_finds_no_error(mass_like: bool, tmp_path: Path) -> None:
    found = case(mass_like=mass_like)
    assert dciodvfy_errors(built(found), tmp_path) == []
    seg = segmentation.build(found.context, found.findings)
    assert dciodvfy_errors(seg, tmp_path) == []
