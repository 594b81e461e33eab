"""The two ways to a destination, chosen by its type here and nowhere else."""

from collections.abc import Sequence
from typing import TypeAlias

from agent.dicom import qido, query, sender, web
from agent.dicom.peer import Destination
from agent.dicom.query import PeerSeries
from agent.dicom.sender import SendItem, SendOutcome
from agent.dicom.web import WebDestination
from storage.records import SeriesUid, SopUid, StudyUid

AnyDestination: TypeAlias = Destination | WebDestination


def send(
    files: Sequence[SendItem], destination: AnyDestination, *, calling_ae: str
) -> list[SendOutcome]:
    """Store the files by C-STORE or STOW-RS: see `sender.send` and `web.send`."""
    if isinstance(destination, WebDestination):
        return web.send(files, destination)
    return sender.send(files, destination, calling_ae=calling_ae)


def check(destination: AnyDestination, *, calling_ae: str) -> str:
    """Ask whether the peer is there and say how it answered; `PeerError` says what went wrong."""
    if isinstance(destination, WebDestination):
        count = web.check(destination)
        return f"{destination.url} answers QIDO-RS and lets us in ({count} study shown)"
    sender.echo(destination, calling_ae=calling_ae)
    return f"{destination.ae_title} at {destination.host}:{destination.port} answers C-ECHO"


def series_of(
    destination: AnyDestination, study_uid: StudyUid, *, calling_ae: str
) -> list[PeerSeries]:
    """The series of a study that the peer holds: see `query.series_of`."""
    if isinstance(destination, WebDestination):
        return qido.series_of(destination, study_uid)
    return query.series_of(destination, study_uid, calling_ae=calling_ae)


def classes_of(
    destination: AnyDestination, study_uid: StudyUid, series_uid: SeriesUid, *, calling_ae: str
) -> dict[SopUid, str]:
    """The instances of a series and their SOP classes: see `query.classes_of`.

    Raises `NotOffered` where the peer answers no such query, and `PeerError`.
    """
    if isinstance(destination, WebDestination):
        return qido.classes_of(destination, study_uid, series_uid)
    return query.classes_of(destination, study_uid, series_uid, calling_ae=calling_ae)
