"""The lesions as a binary Segmentation (PS3.3 A.51) on the grid of the analysed series."""

import highdicom
import numpy as np
from pydicom.dataset import Dataset

from agent.dicom import codes
from agent.dicom.objects import equipment, frames, planes
from agent.dicom.objects.context import ResultContext
from agent.dicom.source import SourceImages
from agent.imaging.results import Findings
from storage.enums import Role
from storage.records import Lesion

# One colour a segment, alternating, so that neighbours can be told apart on grey (CIELab).
_COLOURS = ((60.0, 60.0, 50.0), (70.0, -40.0, 45.0), (65.0, 10.0, -45.0), (75.0, 45.0, -20.0))


def possible(context: ResultContext) -> bool:
    """Whether `build` can make a Segmentation: there are lesions, and a space to place them in."""
    return bool(context.lesions) and planes.are_placed(context.source)


def build(context: ResultContext, findings: Findings) -> Dataset:
    """One Segmentation, one segment a lesion; frames without a lesion are left out.

    Raises ValueError without lesions (an empty Segmentation would list every slice and show
    nothing) and without frame of reference; ask `possible` first.
    """
    source = _checked_source(context, findings)
    result = _encode(context, source, findings)
    if source.frame_numbers is not None:
        frames.name_sources(result, source.frame_numbers)
    equipment.name_dimensions(result, context, Role.SEGMENTATION)
    equipment.stamp(result, context, Role.SEGMENTATION)
    result.BodyPartExamined = "HEAD"
    return result


def _checked_source(context: ResultContext, findings: Findings) -> SourceImages:
    if not context.lesions or not findings.regions:
        raise ValueError("There is no lesion to segment; send the report alone.")
    source = context.source
    if source is None or not planes.are_placed(source):
        raise ValueError("The analysed series names no frame of reference to place lesions in.")
    numbers = [lesion.number for lesion in context.lesions]
    if numbers != list(range(1, len(numbers) + 1)) or int(findings.labels.max()) != len(numbers):
        raise ValueError(f"Lesions must be numbered as in the mask, from 1; got {numbers}.")
    return source


def _encode(context: ResultContext, source: SourceImages, findings: Findings) -> Dataset:
    return highdicom.seg.Segmentation(
        source_images=planes.slice_stand_ins(source),
        pixel_array=np.ascontiguousarray(findings.labels),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment(context, lesion) for lesion in context.lesions],
        **equipment.names(context, Role.SEGMENTATION),
        **equipment.device(context),
        content_label="ANOMALY",
        content_description="Regions that the model could not restore as tumour-free brain",
        omit_empty_frames=True,
    )


def _segment(context: ResultContext, lesion: Lesion) -> highdicom.seg.SegmentDescription:
    analysis = context.analysis
    return highdicom.seg.SegmentDescription(
        segment_number=lesion.number,
        segment_label=_label(lesion),
        segmented_property_category=codes.ABNORMAL_STRUCTURE,
        segmented_property_type=codes.LESION_OF_BRAIN,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=equipment.model_title(context)[:64],
            family=codes.ARTIFICIAL_INTELLIGENCE,
            version=(analysis.model_version or "unknown")[:64],
            source=equipment.MANUFACTURER,
            parameters={
                "model sha256": analysis.model_sha256,
                "threshold version": analysis.threshold_version,
            },
        ),
        tracking_id=f"Lesion {lesion.number}",
        tracking_uid=lesion.tracking_uid,
        anatomic_regions=[codes.BRAIN],
        display_color=highdicom.color.CIELabColor(*_COLOURS[(lesion.number - 1) % len(_COLOURS)]),
    )


def _label(lesion: Lesion) -> str:
    """What a viewer lists."""
    if lesion.mass_like is None:
        return f"Anomaly {lesion.number}"
    return f"Anomaly {lesion.number} ({'' if lesion.mass_like else 'not '}mass-like)"
