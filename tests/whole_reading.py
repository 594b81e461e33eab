"""All that the node does with a received data set up to its voxels, and what comes of it."""

import uuid
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import builders
from agent import composition, examination
from agent.dicom import headers, part10, volumes, windows
from agent.dicom.objects.context import ResultContext
from agent.dicom.series import SeriesRules
from agent.errors import AgentError
from encoded_images import Encoded

_RULES = SeriesRules()
_NAMESPACE = uuid.UUID(int=1)


def outcome(images: Sequence[Encoded], folder: Path, *, report: bool = False) -> str:
    """In which room an error of ours ended it, or `read`. Every other exception is a fault.

    The front door sees the first image alone. With `report`, the report of a study that was not
    analysed is built from the headers as well, whatever the images are worth.
    """
    try:
        headers.read(images[0].content, images[0].syntax)
    except AgentError:
        return "refused at the door"
    paths = [folder / f"{number}.dcm" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(file_of(image))
    try:
        reading = examination.read(paths, _RULES)
    except AgentError:
        return "headers not readable"
    if report:
        _build_report(reading)
    try:
        loaded = volumes.load(paths)
    except AgentError as error:
        return type(error).__name__
    windows.stated(loaded.source)
    return "read"


def file_of(image: Encoded, *, preamble: bytes = bytes(128)) -> bytes:
    """The data set as a DICOM file, behind any preamble."""
    header = part10.file_header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_uid="1.2.3",
        transfer_syntax_uid=image.syntax,
        source_ae="FUZZ",
    )
    return preamble + header[128:] + image.content


def _build_report(reading: examination.Reading) -> None:
    context = ResultContext(
        study=reading.headers,
        source=None,
        analysis=builders.analysis(None),
        lesions=(),
        decisions=reading.choice.decisions,
        completion_evidence="No image came for 10 s.",
        namespace=_NAMESPACE,
    )
    for _, dataset in composition.build(context, None, None):
        dataset.save_as(BytesIO(), enforce_file_format=True)
