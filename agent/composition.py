"""From findings to the result objects that one kind of destination gets."""

import uuid
from collections.abc import Iterator
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
    planes,
    profiles,
    rejection_note,
    report,
    segmentation,
)
from agent.dicom.objects.context import ResultContext, form_of
from agent.dicom.objects.profiles import MapValues, Profile, Slices
from agent.examination import Examination, Reading
from agent.imaging.results import Findings
from storage.enums import Role
from storage.records import Analysis, ResultObject, SopUid, StudyUid

Objects = Iterator[tuple[Role, Dataset]]


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
    """Every object of the profile that this result has: always a report, which comes first.

    They are built one at a time, as they are asked for.
    """
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
    for role, dataset in build(context, findings, loaded):
        encoding.encode(dataset, role, appearance.profile)
        yield role, dataset


def build(
    context: ResultContext, findings: Findings | None, loaded: volumes.LoadedSeries | None
) -> Objects:
    """The objects of the context's profile, not yet in its transfer syntax."""
    seg = None
    if findings and context.profile.segmentation and segmentation.possible(context):
        seg = segmentation.build(context, findings)
    yield Role.REPORT, report.build(context, findings=findings, segmentation=seg)
    if seg is not None:
        yield Role.SEGMENTATION, seg
    if findings and loaded:
        yield from _pictures(context, findings, loaded)
    if context.profile.key_images and context.lesions:
        yield Role.KEY_IMAGES, key_images.build(context)
    if context.profile.rejection_note and context.replaces:
        yield Role.REJECTION_NOTE, rejection_note.build(context)


def _pictures(context: ResultContext, findings: Findings, loaded: volumes.LoadedSeries) -> Objects:
    """What shows the map itself."""
    profile = context.profile
    if profile.heatmap is not Slices.OFF:
        for picture in heatmap.build(context, findings, loaded.volume, slices=profile.heatmap):
            yield Role.HEATMAP, picture
    if not planes.are_placed(context.source):
        return
    if profile.parametric_map is not MapValues.OFF:
        placed = parametric_map.build(context, findings, profile.parametric_map)
        yield Role.PARAMETRIC_MAP, placed
    if profile.derived_series:
        for image in derived_series.build(context, findings):
            yield Role.DERIVED_SERIES, image
