"""Objects that others refer to by name alone, as highdicom wants them: reduced data sets."""

from collections.abc import Sequence
from functools import cache
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID

from agent.dicom import codes
from agent.dicom.frames import Frame
from agent.dicom.objects import equipment, template
from agent.dicom.objects.context import ResultContext
from storage.enums import Role
from storage.records import ResultObject

_IMAGES: Final = frozenset(
    {Role.SEGMENTATION, Role.HEATMAP, Role.PARAMETRIC_MAP, Role.DERIVED_SERIES}
)


def stand_ins(context: ResultContext, objects: Sequence[ResultObject]) -> list[Dataset]:
    """Result objects of this study that were made earlier, in the same order."""
    return [_stand_in(context, item) for item in objects]


def _source_image(image: Dataset, frame_number: int | None) -> Dataset:
    """An item of the Source Image Sequence (PS3.3 C.7.6.1.1.4): the slice a picture was made of."""
    reference = template.copy_of(_purpose())
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    if frame_number is not None:
        reference.ReferencedFrameNumber = frame_number
    return reference


@cache
def _purpose() -> Dataset:
    purpose = Dataset()
    purpose.PurposeOfReferenceCodeSequence = Items([equipment.coded(codes.SOURCE_IMAGE)])
    return template.encoded_once(purpose)


def name(
    made: Dataset, context: ResultContext, role: Role, image: Dataset, frame_number: int | None
) -> None:
    """Give what was made of a slice its own UID, and say which slice that is."""
    parts = (image.SOPInstanceUID, *(() if frame_number is None else (frame_number,)))
    uid = UID(equipment.instance_uid(context, role, *parts))
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = uid
    made.SourceImageSequence = Items([_source_image(image, frame_number)])
    _repeat_loss(image, made)


def _repeat_loss(image: Dataset, made: Dataset) -> None:
    """Say of what was made from an image whether that had lost something (PS3.3 C.7.6.1.1.5)."""
    lossy = Frame(image).text("LossyImageCompression") == "01"
    made.LossyImageCompression = "01" if lossy else "00"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if lossy and keyword in image:
            made[keyword] = image[keyword]


def _stand_in(context: ResultContext, item: ResultObject) -> Dataset:
    named = Dataset()
    named.SOPClassUID = UID(item.sop_class_uid)
    named.SOPInstanceUID = UID(item.sop_uid)
    named.StudyInstanceUID = context.head.StudyInstanceUID
    named.SeriesInstanceUID = UID(item.series_uid)
    reduced = equipment.stand_in(named)
    if item.role in _IMAGES:  # highdicom tells images from documents by their having rows
        reduced.Rows = reduced.Columns = 1
    return reduced
