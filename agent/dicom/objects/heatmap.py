"""The anomaly map as pictures: RGB Secondary Capture (PS3.3 A.8.1), one a slice, placed in the
patient like the slice it was drawn on, so that every viewer can show and link it."""

from collections.abc import Iterator

import numpy as np
from PIL.Image import Image
from pydicom.dataset import Dataset
from pydicom.uid import UID, SecondaryCaptureImageStorage
from pydicom.valuerep import DSfloat

from agent.dicom import windows
from agent.dicom.objects import equipment, planes, references, template
from agent.dicom.objects.context import ResultContext
from agent.dicom.objects.profiles import Slices
from agent.dicom.source import SourceImages
from agent.imaging.render import Painter
from agent.imaging.results import Findings
from agent.imaging.volume import Volume
from storage.enums import Role

_MARGIN_SLICES = 3


def build(
    context: ResultContext, findings: Findings, volume: Volume, *, slices: Slices = Slices.ALL
) -> Iterator[Dataset]:
    """The pictures in slice order, one at a time: all of them together take much memory.

    Small slices are enlarged so that the texts can be read.
    """
    source = context.source
    if source is None or source.slice_count != volume.voxels.shape[0]:
        raise ValueError("A heatmap needs the images of the very volume that was analysed.")
    places = planes.planes_of(source)
    painter = Painter(volume, findings, windows=windows.stated(source), edges=places[0].edges)
    places = [place.enlarged(painter.times) for place in places]
    images = list(source.slices())
    stamped = _stamped(context, source)
    _place(stamped, places[0], None)
    stamped = template.encoded_once(stamped)
    for number, index in enumerate(_indices(findings, slices), start=1):
        picture = template.copy_of(stamped)
        picture.InstanceNumber = number
        references.name(picture, context, Role.HEATMAP, *images[index])
        _place(picture, places[index], places[0])
        _set_pixels(picture, painter.picture(index))
        yield picture


def _indices(findings: Findings, slices: Slices) -> list[int]:
    count = findings.labels.shape[0]
    if slices is Slices.ALL:
        return list(range(count))
    found = np.flatnonzero(findings.labels.any(axis=(1, 2)))
    near = np.abs(np.arange(count)[:, None] - found[None, :]) <= _MARGIN_SLICES
    return [int(index) for index in np.flatnonzero(near.any(axis=1))]


def _stamped(context: ResultContext, source: SourceImages) -> Dataset:
    """What all pictures of a study say alike: writing it anew for each costs more than drawing."""
    picture = Dataset()
    picture.SOPClassUID = SecondaryCaptureImageStorage
    picture.SOPInstanceUID = ""
    picture.Modality = "OT"
    equipment.stamp(picture, context, Role.HEATMAP)
    picture.BodyPartExamined = "HEAD"
    picture.ConversionType = "WSD"
    picture.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    picture.DateOfSecondaryCapture = picture.ContentDate
    picture.TimeOfSecondaryCapture = picture.ContentTime
    picture.BurnedInAnnotation = "YES"  # legend and marking; the patient is not named in them
    picture.DerivationDescription = "Anomaly map of the model laid over the source image"
    frame_uid = planes.frame_of_reference(source)
    if frame_uid is not None:  # a position says nothing without the space it is measured in
        picture.FrameOfReferenceUID = UID(frame_uid)
        picture.PositionReferenceIndicator = ""
        picture.SliceThickness = DSfloat(planes.thickness_mm(source), auto_format=True)
    picture.SamplesPerPixel = 3
    picture.PhotometricInterpretation = "RGB"
    picture.PlanarConfiguration = 0
    picture.BitsAllocated = picture.BitsStored = 8
    picture.HighBit = 7
    picture.PixelRepresentation = 0
    return picture


def _place(picture: Dataset, plane: planes.SlicePlane, written: planes.SlicePlane | None) -> None:
    """Where it lies. Of the plane that is `written` in it already, only the position may differ."""
    placed = "FrameOfReferenceUID" in picture
    if written is None or not plane.runs_like(written):
        picture.PixelSpacing = planes.decimals(plane.spacing_mm)
        picture.PatientOrientation = plane.patient_orientation
        if placed:
            picture.ImageOrientationPatient = planes.decimals(plane.orientation)
    if placed:
        picture.ImagePositionPatient = planes.decimals(plane.position_mm)


def _set_pixels(picture: Dataset, drawn: Image) -> None:
    picture.Rows, picture.Columns = drawn.height, drawn.width
    encoded = drawn.tobytes()
    picture.add_new("PixelData", "OB", encoded + b"\0" * (len(encoded) % 2))
