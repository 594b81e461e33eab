"""A report as a page: what it says, safely."""

import builders
from agent.dicom import report_page, report_view
from agent.dicom.objects import report, segmentation
from results import analysed, not_analysed


def test_every_lesion_of_the_report_stands_on_the_page() -> None:
    study = analysed(builders.flair_series(slices=8))
    seg = segmentation.build(study.context, study.findings)
    page = report_page.render(
        report.build(study.context, findings=study.findings, segmentation=seg)
    )
    for lesion in study.context.lesions:
        assert f"Lesion {lesion.number}" in page
        assert f"{lesion.volume_ml:.4g} ml" in page


def test_the_reason_for_no_result_stands_on_the_page() -> None:
    context = not_analysed(builders.flair_series(slices=8))
    page = report_page.render(report.build(context, findings=None, segmentation=None))
    assert context.analysis.reason is not None
    assert context.analysis.reason in page


def test_what_a_header_says_cannot_become_markup() -> None:
    context = not_analysed(builders.flair_series(slices=8))
    document = report.build(context, findings=None, segmentation=None)
    document.ContentSequence[0].ConceptNameCodeSequence[0].CodeMeaning = "<script>alert(1)</script>"
    assert "<script>" not in report_page.render(document)


def test_the_answer_comes_first_and_regions_with_their_place() -> None:
    study = analysed(builders.flair_series(slices=8))
    seg = segmentation.build(study.context, study.findings)
    document = report.build(study.context, findings=study.findings, segmentation=seg)
    text = report_page.as_text(document)
    lines = text.splitlines()
    assert "RESEARCH USE ONLY" in lines[1]
    assert text.index("2 abnormal regions found") < text.index("Lesion 1 (Left, Middle third)")
    assert text.index("Lesion 1") < text.index("Lesion 2 (Right, Inferior)")
    assert "Completeness of the study" in text
    assert report_view.read(document).verdict == "Abnormal"


def test_a_region_without_a_segment_is_shown_once_with_all_its_measures() -> None:
    study = analysed(builders.flair_series(slices=8))
    document = report.build(study.context, findings=study.findings, segmentation=None)
    regions = report_view.read(document).regions
    assert [one.name for one in regions] == ["Lesion 1", "Lesion 2"]
    assert "Volume" in dict(regions[0].facts)


def test_a_report_of_no_analysis_says_so_in_its_first_words() -> None:
    context = not_analysed(builders.flair_series(slices=8))
    document = report.build(context, findings=None, segmentation=None)
    view = report_view.read(document)
    assert view.verdict == "Normality Undetermined"
    assert view.impression.startswith("NOT ANALYSED")
    assert view.regions == ()
