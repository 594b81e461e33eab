"""A Key Object Selection document (PS3.3 A.35.4, TID 2010): a title, and what it speaks of."""

from collections.abc import Sequence

import highdicom
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from agent.dicom import codes, identifiers
from agent.dicom.objects import equipment
from agent.dicom.objects.context import ResultContext
from storage.enums import Role


def document(
    context: ResultContext, role: Role, *, title: Code, text: str, objects: Sequence[Dataset]
) -> Dataset:
    """The document of that role over reduced data sets of the objects, in their order."""
    result: Dataset = highdicom.ko.KeyObjectSelectionDocument(
        evidence=objects,
        content=highdicom.ko.KeyObjectSelection(
            document_title=title,
            referenced_objects=objects,
            observer_device_context=observer(context),
            description=equipment.printable(text, context),
        ),
        **equipment.names(context, role),
    )
    equipment.stamp(result, context, role)
    return result


def observer(context: ResultContext) -> sr.ObserverContext:
    """This installation as the one who observed (TID 1004)."""
    return sr.ObserverContext(
        observer_type=sr.CodedConcept.from_code(codes.DEVICE),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=identifiers.device_uid(context.namespace),
            name=context.device_name,
            manufacturer_name=equipment.MANUFACTURER,
            model_name=equipment.model_title(context),
            serial_number=equipment.serial_number(context),
        ),
    )
