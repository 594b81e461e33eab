"""The report: a Structured Report of TID 1500 (PS3.16), made for every study, also when nothing
was found and when nothing could be analysed."""

from typing import Any

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID, MRImageStorage

from agent.dicom import codes
from agent.dicom.objects import equipment, key_objects, measurements, planes, references
from agent.dicom.objects.context import ResultContext
from agent.dicom.objects.profiles import ReportClass
from agent.imaging.results import Findings
from storage.enums import Role

_CLASSES = {
    ReportClass.COMPREHENSIVE_3D: sr.Comprehensive3DSR,
    ReportClass.COMPREHENSIVE: sr.ComprehensiveSR,
    ReportClass.ENHANCED: sr.EnhancedSR,
}


def build(
    context: ResultContext, *, findings: Findings | None, segmentation: Dataset | None
) -> Dataset:
    """The report of an analysis, preliminary and unverified.

    `findings` is None for a study that was not analysed; `segmentation` is the object that
    `segmentation.build` made of the same context, None where there is none.
    """
    result: Dataset = _CLASSES[context.profile.report](
        evidence=_evidence(context, segmentation),
        content=_content(context, findings, segmentation),
        **equipment.names(context, Role.REPORT),
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=references.stand_ins(context, context.replaces[:1]) or None,
    )
    _restore_classes(result, context)
    if findings is not None and context.source and context.source.frame_numbers:
        numbers = context.source.frame_numbers
        _name_frames(result, [numbers[index] for index in _key_slices(context, findings)])
    equipment.stamp(result, context, Role.REPORT)
    result.CodingSchemeIdentificationSequence = equipment.coding_scheme()
    return result


def _content(
    context: ResultContext, findings: Findings | None, segmentation: Dataset | None
) -> sr.MeasurementReport:
    groups: list[Any] = [measurements.of_study(context)]
    if findings is not None:
        for lesion in context.lesions:
            if segmentation is not None:
                groups.append(measurements.of_segment(context, lesion, segmentation))
            groups.append(
                measurements.of_outline(context, lesion, findings, alone=segmentation is None)
            )
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=key_objects.observer(context)
        ),
        procedure_reported=codes.BRAIN_MRI,
        imaging_measurements=groups,
        title=codes.REPORT_TITLE,
        referenced_images=_key_images(context, findings),
    )


def _key_slices(context: ResultContext, findings: Findings) -> list[int]:
    """The slices that the report speaks of: describing all 180 of a volume costs seconds."""
    return context.key_slices or [int(findings.slice_scores.argmax())]


def _key_images(context: ResultContext, findings: Findings | None) -> list[Dataset] | None:
    if context.source is None or findings is None:
        return None
    indices = _key_slices(context, findings)
    return [planes.slice_stand_in(context.source, index) for index in indices]


def _name_frames(result: Dataset, numbers: list[int]) -> None:
    """Point the entries of the image library at their frames of the one enhanced object."""
    library = next(item for item in result.ContentSequence if _is(item, codes.IMAGE_LIBRARY))
    entries = [item for group in library.ContentSequence for item in group.ContentSequence]
    images = [item for item in entries if item.ValueType == "IMAGE"]
    for image, number in zip(images, numbers, strict=True):
        image.ReferencedSOPSequence[0].ReferencedFrameNumber = number


def _is(item: Dataset, concept: Code) -> bool:
    return bool(item.ConceptNameCodeSequence[0].CodeValue == concept.value)


def _evidence(context: ResultContext, segmentation: Dataset | None) -> list[Dataset]:
    """Every image of the study, by name, and the Segmentation."""
    first, *others = _images(context)  # highdicom takes patient and study from the first
    evidence = [equipment.stand_in(first), *map(equipment.named, others)]
    if segmentation is not None:
        evidence.append(equipment.stand_in(segmentation))
    # highdicom looks the first one's class up in its tables, which do not hold every class.
    evidence[0].SOPClassUID = MRImageStorage
    return evidence


def _images(context: ResultContext) -> list[Dataset]:
    """The analysed images first, then the others of the study, each once."""
    images = [*(context.source.datasets if context.source else ()), *context.study]
    return list({str(image.SOPInstanceUID): image for image in images}.values())


def _restore_classes(result: Dataset, context: ResultContext) -> None:
    """Give the evidence its real SOP classes which `_evidence` hid from highdicom."""
    classes = {str(image.SOPInstanceUID): str(image.SOPClassUID) for image in _images(context)}
    for study in result.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            for item in series.ReferencedSOPSequence:
                name = str(item.ReferencedSOPInstanceUID)
                item.ReferencedSOPClassUID = UID(classes.get(name, item.ReferencedSOPClassUID))
