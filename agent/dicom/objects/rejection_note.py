"""Says that an older result is replaced: archives with IHE IOCM then hide its objects."""

from pydicom.dataset import Dataset

from agent.dicom import codes
from agent.dicom.objects import key_objects, references
from agent.dicom.objects.context import ResultContext
from storage.enums import Role


def build(context: ResultContext) -> Dataset:
    """A rejection note over every replaced object (IHE RAD TF-3 4.66.4.1.3).

    Raises ValueError where nothing is replaced.
    """
    if not context.replaces:
        raise ValueError("There is no older result to reject.")
    return key_objects.document(
        context,
        Role.REJECTION_NOTE,
        title=codes.REJECTED_FOR_QUALITY,
        text="Replaced by a newer result of the same node over this study. Research use only.",
        objects=references.stand_ins(context, context.replaces),
    )
