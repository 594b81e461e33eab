"""The source slices on which each lesion is largest, as key images: a way to jump to them."""

from pydicom.dataset import Dataset

from agent.dicom import codes
from agent.dicom.objects import key_objects, planes
from agent.dicom.objects.context import ResultContext
from storage.enums import Role


def build(context: ResultContext) -> Dataset:
    """One document of title Of Interest. Raises ValueError where there is no lesion."""
    if context.source is None or not context.lesions:
        raise ValueError("There is no lesion to point at; send the report alone.")
    source = context.source
    indices = context.key_slices
    images = {
        str(image.SOPInstanceUID): image
        for image in (planes.slice_stand_in(source, index) for index in indices)
    }
    result = key_objects.document(
        context,
        Role.KEY_IMAGES,
        title=codes.OF_INTEREST,
        text="Slices on which a region marked by the model is largest. Research use only.",
        objects=list(images.values()),
    )
    if source.frame_numbers is not None:
        _name_frames(result, [source.frame_numbers[index] for index in indices])
    return result


def _name_frames(result: Dataset, numbers: list[int]) -> None:
    """Point at the frames of the one enhanced object instead of at the whole of it."""
    for item in result.ContentSequence:
        if item.ValueType == "IMAGE":
            item.ReferencedSOPSequence[0].ReferencedFrameNumber = sorted(numbers)
