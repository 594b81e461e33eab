"""The measurement groups of the report: the study, each lesion as a segment and as an outline."""

import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from agent.dicom import codes, identifiers
from agent.dicom.identifiers import Part
from agent.dicom.objects import descriptions, equipment, sentences
from agent.dicom.objects.context import ResultContext
from agent.dicom.objects.descriptions import rounded
from agent.imaging import outline
from agent.imaging.results import Findings
from storage.enums import Outcome
from storage.records import Lesion

_VERDICTS = {
    Outcome.ABNORMAL: (codes.ABNORMAL, codes.SUCCEEDED_WITH_FINDINGS),
    Outcome.NO_ABNORMALITY: (codes.NO_ABNORMALITY_DETECTED, codes.SUCCEEDED_WITHOUT_FINDINGS),
    Outcome.NOT_ANALYSED: (codes.NORMALITY_UNDETERMINED, codes.NONE_SUCCEEDED),
}


def of_study(context: ResultContext) -> sr.MeasurementsAndQualitativeEvaluations:
    """TID 1501: verdict, scores and the story of the whole study."""
    analysis = context.analysis
    verdict, summary = _VERDICTS[analysis.outcome]
    evaluations = [
        sr.QualitativeEvaluation(codes.INTENDED_USE, codes.RESEARCH_ONLY),
        sr.QualitativeEvaluation(codes.VERDICT, verdict),
        sr.QualitativeEvaluation(codes.PROCESSING_SUMMARY, summary),
        *descriptions.of_study(analysis),
    ]
    if analysis.outcome is Outcome.NOT_ANALYSED:
        evaluations.append(
            sr.QualitativeEvaluation(codes.REASON_NOT_ANALYSED, codes.reason(analysis.reason_code))
        )
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=identifiers.uid(context.namespace, context.identity, Part.TRACKING, "study"),
            identifier="Whole study",
        ),
        algorithm_id=_algorithm(context),
        finding_sites=[sr.FindingSite(codes.BRAIN)],
        measurements=[*_scores(context), *descriptions.study_numbers(analysis)],
        qualitative_evaluations=evaluations,
    )
    texts = [(codes.IMPRESSION, sentences.impression(context))]
    texts += [(codes.COMMENT, sentence) for sentence in sentences.comments(context)]
    for name, text in texts:
        group[0].ContentSequence.append(
            sr.TextContentItem(
                name=name,
                value=equipment.printable(text, context),
                relationship_type=sr.RelationshipTypeValues.CONTAINS,
            )
        )
    return group


def _scores(context: ResultContext) -> list[sr.Measurement]:
    """The study's score and its p-value; the score says of which slice it is (TID 320)."""
    analysis = context.analysis
    if analysis.study_score is None or analysis.study_p_value is None:
        return []
    score = sr.Measurement(
        codes.ANOMALY_SCORE,
        rounded(analysis.study_score),
        codes.NO_UNITS,
        referenced_coordinates=_highest_slice(context),
    )
    return [score, _number(codes.P_VALUE, analysis.study_p_value)]


def _highest_slice(context: ResultContext) -> list[sr.CoordinatesForMeasurement] | None:
    """The frame of the slice with the highest score, which is that of the study.

    OHIF opens no report with a group that has no coordinates at all.
    """
    scores = context.analysis.slice_scores
    if context.source is None or len(scores) != context.source.slice_count:
        return None
    image, number = list(context.source.slices())[int(np.argmax(scores))]
    right, lower = int(image.Columns), int(image.Rows)
    frame = [(0, 0), (right, 0), (right, lower), (0, lower), (0, 0)]
    return [
        sr.CoordinatesForMeasurement(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=np.array(frame, dtype=np.float32),
            source_image=_source_image(image, number),
        )
    ]


def _source_image(image: Dataset, frame_number: int | None) -> sr.SourceImageForRegion:
    return sr.SourceImageForRegion(
        referenced_sop_class_uid=str(image.SOPClassUID),
        referenced_sop_instance_uid=str(image.SOPInstanceUID),
        referenced_frame_numbers=None if frame_number is None else [frame_number],
    )


def of_segment(
    context: ResultContext, lesion: Lesion, segmentation: Dataset
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """TID 1411: a lesion as the segment that shows all of it."""
    if context.source is None:
        raise ValueError("A segment needs the series it was drawn on; none was given.")
    series = str(context.source.datasets[0].SeriesInstanceUID)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(lesion),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=str(segmentation.SOPClassUID),
            sop_instance_uid=str(segmentation.SOPInstanceUID),
            segment_number=lesion.number,
            source_series=sr.SourceSeriesForSegmentation(series),
        ),
        finding_category=codes.ABNORMAL_STRUCTURE,
        finding_type=codes.LESION_OF_BRAIN,
        algorithm_id=_algorithm(context),
        finding_sites=[descriptions.site(lesion)],
        measurements=_measurements(lesion),
        qualitative_evaluations=descriptions.of_lesion(lesion),
    )


def of_outline(
    context: ResultContext, lesion: Lesion, findings: Findings, *, alone: bool
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """TID 1410: the outline of a lesion on its largest slice, which every viewer can draw.

    `alone`: no Segmentation shows the lesion, so all measurements stand here.
    """
    if context.source is None:
        raise ValueError("An outline needs the series it is drawn on; none was given.")
    dataset, number = list(context.source.slices())[lesion.slice_index]
    mask = findings.labels[lesion.slice_index] == lesion.number
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(lesion),
        referenced_region=sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=outline.largest(np.asarray(mask, dtype=np.bool_)),
            source_image=_source_image(dataset, number),
        ),
        finding_category=codes.ABNORMAL_STRUCTURE,
        finding_type=codes.LESION_OF_BRAIN,
        algorithm_id=_algorithm(context),
        finding_sites=[descriptions.site(lesion)],
        measurements=_measurements(lesion) if alone else [_diameter(lesion)],
        qualitative_evaluations=descriptions.of_lesion(lesion),
    )


def _measurements(lesion: Lesion) -> list[sr.Measurement]:
    return [
        sr.Measurement(codes.VOLUME, rounded(lesion.volume_ml), codes.MILLILITRE),
        _diameter(lesion),
        _number(codes.ANOMALY_SCORE, lesion.mean_score, codes.MEAN),
        _number(codes.ANOMALY_SCORE, lesion.peak_score, codes.MAXIMUM),
        *descriptions.lesion_numbers(lesion),
    ]


def _diameter(lesion: Lesion) -> sr.Measurement:
    return sr.Measurement(
        codes.DIAMETER, rounded(lesion.diameter_mm), codes.MILLIMETRE, derivation=codes.MAXIMUM
    )


def _number(name: Code, value: float, derivation: Code | None = None) -> sr.Measurement:
    return sr.Measurement(name, rounded(value), codes.NO_UNITS, derivation=derivation)


def _tracking(lesion: Lesion) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(uid=lesion.tracking_uid, identifier=f"Lesion {lesion.number}")


def _algorithm(context: ResultContext) -> sr.AlgorithmIdentification:
    """TID 4019."""
    analysis = context.analysis
    return sr.AlgorithmIdentification(
        name=analysis.model_name or "none",
        version=analysis.model_version or "none",
        family=codes.ARTIFICIAL_INTELLIGENCE,
        manufacturer=equipment.MANUFACTURER,
        parameters=[
            f"model sha256 {analysis.model_sha256}",
            f"threshold version {analysis.threshold_version}",
        ],
    )
