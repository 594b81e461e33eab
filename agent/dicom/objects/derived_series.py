"""The anomaly map as classic MR images, which any viewer can window: value x 1000, 12 bits.

Off unless asked for: an image that looks like an acquisition gets into hanging protocols.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, MRImageStorage
from pydicom.valuerep import DSfloat

from agent.dicom.frames import Frame
from agent.dicom.objects import equipment, planes, references, template
from agent.dicom.objects.context import ResultContext
from agent.dicom.source import SourceImages
from agent.imaging.results import Findings
from storage.enums import Role

_SCALE = 1000
_LARGEST = 4095
_UNKNOWN = ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength")


def build(context: ResultContext, findings: Findings) -> Iterator[Dataset]:
    """One image a slice, in slice order, one at a time. Values over 4.095 are cut there.

    Raises ValueError without frame of reference; ask `planes.are_placed` first.
    """
    source = context.source
    if source is None or not planes.are_placed(source):
        raise ValueError("The analysed series names no frame of reference to place images in.")
    stored = np.rint(np.clip(findings.anomaly_map * _SCALE, 0, _LARGEST)).astype("<u2")
    window = max(float(stored.max()), findings.pixel_threshold * _SCALE, 1.0)
    stamped = template.encoded_once(_stamped(context, source, window))
    for index, (place, (named, number)) in enumerate(
        zip(planes.planes_of(source), source.slices(), strict=True)
    ):
        image = template.copy_of(stamped)
        image.InstanceNumber = index + 1
        references.name(image, context, Role.DERIVED_SERIES, named, number)
        place.write(image)
        _set_pixels(image, stored[index])
        yield image


def _stamped(context: ResultContext, source: SourceImages, window: float) -> Dataset:
    """An MR image (PS3.3 A.4) without name, place and pixels."""
    image = Dataset()
    image.SOPClassUID = MRImageStorage
    image.SOPInstanceUID = ""
    image.Modality = "MR"
    equipment.stamp(image, context, Role.DERIVED_SERIES)
    image.BodyPartExamined = "HEAD"
    image.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    image.DerivationDescription = "Anomaly map of the model: value x 1000, at most 4095"
    # No pulse made these values: research mode, and empty where the module asks for a time.
    image.ScanningSequence = "RM"
    image.SequenceVariant = "NONE"
    for keyword in _UNKNOWN:
        setattr(image, keyword, None)
    image.PatientPosition = Frame(context.head).text("PatientPosition")
    image.BurnedInAnnotation = "NO"
    image.WindowCenter = DSfloat(window / 2, auto_format=True)
    image.WindowWidth = DSfloat(window, auto_format=True)
    image.SliceThickness = DSfloat(planes.thickness_mm(source), auto_format=True)
    image.SpacingBetweenSlices = DSfloat(planes.distance_mm(source), auto_format=True)
    image.FrameOfReferenceUID = UID(str(planes.frame_of_reference(source)))
    image.PositionReferenceIndicator = ""
    return image


def _set_pixels(image: Dataset, pixels: NDArray[np.uint16]) -> None:
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.add_new("PixelData", "OW", pixels.tobytes())
