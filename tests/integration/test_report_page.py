"""A report as a page: what it says, safely."""

import builders
from agent.dicom import report_page
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
