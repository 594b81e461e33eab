"""From the settings to the node's doors: who may come in, how many, how much, and by which TLS."""

from agent.dicom import tls
from agent.dicom.admission import Quota, TlsEntrance
from agent.dicom.front_door import FrontDoor, Sender
from agent.dicom.tls import Identity, TlsFiles
from agent.settings import NodeSettings, Settings, TlsSettings

_BYTES_PER_MB = 1024 * 1024


def front_door(settings: Settings) -> FrontDoor:
    """Who may open an association with this node."""
    # A destination reports on storage commitment over an association of its own.
    reporters = [
        Sender(ae_title=one.ae_title, host=one.host)
        for one in settings.destinations
        if one.transport == "dimse" and one.confirm in ("auto", "commitment")
    ]
    return FrontDoor([*senders(settings), *reporters], anyone=settings.node.accept == "anyone")


def senders(settings: Settings) -> list[Sender]:
    """Who may send images to this node."""
    return [
        Sender(ae_title=one.ae_title, host=one.host, certificate=one.certificate)
        for one in settings.peers
    ]


def quota(node: NodeSettings) -> Quota:
    """What senders may take."""
    return Quota(
        associations=node.maximum_associations,
        associations_per_peer=node.maximum_per_peer,
        object_bytes=node.maximum_object_mb * _BYTES_PER_MB,
        request_seconds=node.request_seconds,
    )


def by_tls(wanted: TlsSettings) -> TlsEntrance | None:
    """The port that speaks TLS, where it is on. Raises `ConfigurationError`."""
    files = tls_files(wanted)
    if files is None:
        return None
    identity = tls.for_callers(files, client_certificates=wanted.client_certificates)
    return TlsEntrance(port=wanted.port, identity=identity)


def identity_for_calls(wanted: TlsSettings) -> Identity | None:
    """What we show to destinations that speak TLS. Raises `ConfigurationError`."""
    files = tls_files(wanted)
    return tls.for_calls(files) if files is not None else None


def tls_files(wanted: TlsSettings) -> TlsFiles | None:
    """The files of [tls], where it is on."""
    if wanted.certificate_file is None or wanted.key_file is None or wanted.ca_file is None:
        return None
    return TlsFiles(
        certificate_file=wanted.certificate_file,
        key_file=wanted.key_file,
        ca_file=wanted.ca_file,
    )
