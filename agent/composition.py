"""From findings to the result objects that one kind of destination gets."""

import uuid
from dataclasses import dataclass

from pydicom.dataset import Dataset

from agent import examination
from agent.dicom import identifiers, volumes
from agent.dicom.objects import (
    derived_series,
    encoding,
    heatmap,
    key_images,
    parametric_map,
    profiles,
    rejection_note,
    report,
    segmentation,
)
from agent.dicom.objects.context import ResultContext, form_of
from agent.dicom.objects.profiles import MapValues, Profile, Slices
from agent.examination import Examination, Reading
from agent.imaging.results import Findings
from storage.records import Analysis, ResultObject, Role, SopUid, StudyUid

Objects = list[tuple[Role, Dataset]]


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """Who makes the objects, and for what kind of destination.

    Two installations never share a UID: `namespace` is their own.
    """

    namespace: uuid.UUID
    device_name: str = "NEUROSIEVE"
    profile: Profile = profiles.USUAL


def report_uid(study_uid: StudyUid, analysis: Analysis, appearance: Appearance) -> SopUid:
    """The UID that the report of an analysis bears, known before it is built."""
    identity = identifiers.identity_of(study_uid, analysis)
    form = form_of(appearance.profile, appearance.device_name)
    return identifiers.uid(appearance.namespace, identity, Role.REPORT, *form)


def compose(
    reading: Reading,
    examined: Examination,
    analysis: Analysis,
    appearance: Appearance,
    *,
    completion_evidence: str,
    replaces: tuple[ResultObject, ...] = (),
) -> Objects:
    """Every object of the profile that this result has: always a report, which comes first."""
    findings = examined.result if isinstance(examined.result, Findings) else None
    loaded = examined.loaded if findings else None
    context = ResultContext(
        study=reading.headers,
        source=loaded.source if loaded else None,
        analysis=analysis,
        lesions=examination.lesions(
            reading.study_uid, examined.result, analysis, appearance.namespace
        ),
        decisions=reading.choice.decisions,
        completion_evidence=completion_evidence,
        remarks=findings.remarks if findings else (),
        replaces=replaces,
        namespace=appearance.namespace,
        profile=appearance.profile,
        device_name=appearance.device_name,
    )
    objects = build(context, findings, loaded)
    for role, dataset in objects:
        encoding.encode(dataset, role, appearance.profile)
    return objects


def build(
    context: ResultContext, findings: Findings | None, loaded: volumes.LoadedSeries | None
) -> Objects:
    """The objects of the context's profile, not yet in its transfer syntax."""
    seg = None
    if findings and context.profile.segmentation and segmentation.possible(context):
        seg = segmentation.build(context, findings)
    objects: Objects = [(Role.REPORT, report.build(context, findings=findings, segmentation=seg))]
    if seg is not None:
        objects.append((Role.SEGMENTATION, seg))
    if findings and loaded:
        objects += _pictures(context, findings, loaded)
    if context.profile.key_images and context.lesions:
        objects.append((Role.KEY_IMAGES, key_images.build(context)))
    if context.profile.rejection_note and context.replaces:
        objects.append((Role.REJECTION_NOTE, rejection_note.build(context)))
    return objects


def _pictures(context: ResultContext, findings: Findings, loaded: volumes.LoadedSeries) -> Objects:
    """What shows the map itself."""
    profile = context.profile
    objects: Objects = []
    if profile.heatmap is not Slices.OFF:
        pictures = heatmap.build(context, findings, loaded.volume, slices=profile.heatmap)
        objects += [(Role.HEATMAP, picture) for picture in pictures]
    if profile.parametric_map is not MapValues.OFF and parametric_map.possible(context):
        placed = parametric_map.build(context, findings, profile.parametric_map)
        objects.append((Role.PARAMETRIC_MAP, placed))
    if profile.derived_series and derived_series.possible(context):
        images = derived_series.build(context, findings)
        objects += [(Role.DERIVED_SERIES, image) for image in images]
    return objects
