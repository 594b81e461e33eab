"""The anomaly map as pictures: RGB Secondary Capture (PS3.3 A.8.1), one a slice, placed in the
patient like the slice it was drawn on, so that every viewer can show and link it."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, SecondaryCaptureImageStorage
from pydicom.valuerep import DSfloat

from agent.dicom.frames import Frame
from agent.dicom.objects import equipment, planes, references
from agent.dicom.objects.context import ResultContext
from agent.dicom.objects.profiles import Slices
from agent.dicom.source import SourceImages
from agent.imaging import render
from agent.imaging.results import Findings
from agent.imaging.volume import Volume
from storage.records import Role

_MARGIN_SLICES = 3


def build(
    context: ResultContext, findings: Findings, volume: Volume, *, slices: Slices = Slices.ALL
) -> list[Dataset]:
    """The pictures in slice order; small slices are enlarged so that the texts can be read."""
    source = context.source
    if source is None or source.slice_count != volume.voxels.shape[0]:
        raise ValueError("A heatmap needs the images of the very volume that was analysed.")
    scale = render.scale_of(volume.voxels, findings)
    factor = render.enlargement(*volume.voxels.shape[1:])
    places = planes.planes_of(source)
    pictures = []
    for number, index in enumerate(_indices(findings, slices), start=1):
        pixels = render.overlay(
            volume.voxels[index],
            findings.anomaly_map[index],
            findings.labels[index],
            scale=scale,
            title=render.title(findings, index),
            reading=render.reading(findings, index),
            factor=factor,
        )
        picture = _picture(context, pixels, source, index)
        picture.InstanceNumber = number
        _place(picture, places[index].enlarged(factor), source)
        pictures.append(picture)
    return pictures


def _indices(findings: Findings, slices: Slices) -> list[int]:
    count = findings.labels.shape[0]
    if slices is Slices.ALL:
        return list(range(count))
    found = np.flatnonzero(findings.labels.any(axis=(1, 2)))
    near = np.abs(np.arange(count)[:, None] - found[None, :]) <= _MARGIN_SLICES
    return [int(index) for index in np.flatnonzero(near.any(axis=1))]


def _picture(
    context: ResultContext, pixels: NDArray[np.uint8], source: SourceImages, index: int
) -> Dataset:
    """A Secondary Capture image without its place."""
    image, frame_number = list(source.slices())[index]
    names = (image.SOPInstanceUID, *(() if frame_number is None else (frame_number,)))
    picture = Dataset()
    picture.SOPClassUID = SecondaryCaptureImageStorage
    picture.SOPInstanceUID = UID(equipment.instance_uid(context, Role.HEATMAP, *names))
    picture.Modality = "OT"
    equipment.stamp(picture, context, Role.HEATMAP)
    picture.BodyPartExamined = "HEAD"
    picture.ConversionType = "WSD"
    picture.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    picture.DateOfSecondaryCapture = picture.ContentDate
    picture.TimeOfSecondaryCapture = picture.ContentTime
    picture.BurnedInAnnotation = "YES"  # legend and marking; the patient is not named in them
    picture.DerivationDescription = "Anomaly map of the model laid over the source image"
    picture.SourceImageSequence = Sequence([references.source_image(image, frame_number)])
    picture.LossyImageCompression = "01" if _lossy(image) else "00"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if _lossy(image) and keyword in image:
            picture[keyword] = image[keyword]
    _set_pixels(picture, pixels)
    return picture


def _lossy(image: Dataset) -> bool:
    return Frame(image).text("LossyImageCompression") == "01"


def _set_pixels(picture: Dataset, pixels: NDArray[np.uint8]) -> None:
    picture.SamplesPerPixel = 3
    picture.PhotometricInterpretation = "RGB"
    picture.PlanarConfiguration = 0
    picture.Rows, picture.Columns = pixels.shape[:2]
    picture.BitsAllocated = picture.BitsStored = 8
    picture.HighBit = 7
    picture.PixelRepresentation = 0
    encoded = pixels.tobytes()
    picture.PixelData = encoded + b"\0" * (len(encoded) % 2)


def _place(picture: Dataset, plane: planes.SlicePlane, source: SourceImages) -> None:
    picture.PixelSpacing = planes.decimals(plane.spacing_mm)
    picture.PatientOrientation = plane.patient_orientation
    frame_uid = planes.frame_of_reference(source)
    if frame_uid is not None:  # a position says nothing without the space it is measured in
        plane.write(picture)
        picture.SliceThickness = DSfloat(planes.thickness_mm(source), auto_format=True)
        picture.FrameOfReferenceUID = UID(frame_uid)
        picture.PositionReferenceIndicator = ""
