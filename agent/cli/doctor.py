"""`neurosieve doctor`: is this node fit to run?"""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.border import ConfigOption, JsonOption, one_sentence, problems, say, show

if TYPE_CHECKING:
    from agent.dicom.holdings import Source
    from agent.dicom.transport import AnyDestination
    from agent.settings import Settings

COLUMNS = ("check", "result", "detail")


CERTIFICATE_DAYS = 30  # before its end a certificate is to be renewed


class Warned(Exception):
    """Something that somebody should look at, although the node runs."""


@one_sentence
def doctor(
    pack: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Also write the hospital pack into this new folder: documents, model card, SBOM.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check configuration, disk, database, model, port and destinations; exit 1 if any fails.

    A warning is for somebody to look at; the node runs, and the exit code stays 0.

    Example: neurosieve doctor --pack pack
    """
    from agent import settings

    values = settings.load(config)
    rows: list[dict[str, object]] = [
        {"check": "configuration", "result": "ok", "detail": f"AE title {values.node.ae_title}"}
    ]
    rows.extend(_report(name, check) for name, check in _checks(values))
    show(rows, columns=COLUMNS, title="Doctor", as_json=as_json)
    if pack is not None:
        _write_pack(pack, values, rows)
        say(f"Written to {pack}; begin with {pack / 'index.html'}.", on=problems)
    if any(row["result"] == "failed" for row in rows):
        raise typer.Exit(1)


def _write_pack(target: Path, values: "Settings", checks: list[dict[str, object]]) -> None:
    from datetime import UTC, datetime
    from importlib import metadata

    from agent import bootstrap, models_in_use
    from agent.hospital_pack import folder, sbom

    storage = bootstrap.open_storage(values)
    with closing(storage.database):
        store = bootstrap.model_store(values)
        with storage.database.read() as session:
            version, _ = models_in_use.in_force(session)
            described = models_in_use.described_in_force(session, store)
        site = folder.Site(
            settings=values,
            model=described,
            model_folder=store.folder_of(version),
            checks=checks,
            version=metadata.version(sbom.PRODUCT),
            made_at=datetime.now(UTC),
        )
    folder.write(target, site)


def _report(name: str, check: Callable[[], str]) -> dict[str, object]:
    from agent.errors import AgentError
    from storage.errors import StorageError

    try:
        return {"check": name, "result": "ok", "detail": check()}
    except Warned as warning:
        return {"check": name, "result": "warning", "detail": str(warning)}
    except (AgentError, StorageError, OSError) as error:
        return {"check": name, "result": "failed", "detail": str(error)}


def _checks(values: "Settings") -> Iterator[tuple[str, Callable[[], str]]]:
    from agent import bootstrap
    from agent.dicom import transport
    from agent.errors import ConfigurationError

    yield "disk", lambda: _disk(values)
    if values.node.files_url:
        yield "bucket", lambda: _bucket(values)
    yield "database", lambda: _database(values)
    yield "model", lambda: _model(values)
    yield "port", lambda: _port(values)
    yield "tls", lambda: _tls(values)
    yield "status page", lambda: _status(values)
    yield "alarms", lambda: _alarms(values)
    try:
        peers = bootstrap.destinations(values)
    except ConfigurationError:
        return  # the check of TLS has said why
    if not peers:
        yield "destinations", lambda: "none configured: results stay in the store"
    for peer in peers:
        yield (
            f"destination {peer.name}",
            partial(transport.check, peer, calling_ae=values.node.ae_title),
        )
        yield f"proof from {peer.name}", partial(_proof, values, peer)
    for source in bootstrap.sources(values).values():
        yield f"peer {source.ae_title}", partial(_asked, source)


def _asked(source: "Source") -> str:
    """A sender that cannot be asked delays results and loses none."""
    from agent.dicom import transport
    from agent.errors import PeerError
    from storage.records import StudyUid

    nobody = StudyUid("2.25.0")  # a study that cannot be there
    try:
        transport.series_of(source.at, nobody, calling_ae=source.calling_ae)
    except PeerError as error:
        raise Warned(f"{error} Its studies count as complete by the quiet time alone.") from error
    return "says what it holds" + (" and may be asked to send it" if source.mover else "")


def _proof(values: "Settings", peer: "AnyDestination") -> str:
    """Whether results will be confirmed there; without any proof a PACS may lose them unseen."""
    from agent import confirmation
    from agent.confirmation import Confirm
    from agent.errors import AgentError, PeerError

    way = next(Confirm(one.confirm) for one in values.destinations if one.name == peer.name)
    try:
        offered, words = confirmation.outlook(way, peer, calling_ae=values.node.ae_title)
    except PeerError as error:  # the row of the destination says so as well
        raise Warned("it cannot be asked") from error
    if offered:
        return words
    raise Warned(f"{words}.") if way is Confirm.AUTO else AgentError(f"{words}.")


def _disk(values: "Settings") -> str:
    from agent import bootstrap
    from storage.errors import StoreFull
    from storage.files import BYTES_PER_GB

    room = bootstrap.open_store(values).room()
    free_gb, kept_gb = room.free_bytes / BYTES_PER_GB, room.kept_bytes / BYTES_PER_GB
    if room.free_bytes < room.kept_bytes:
        raise StoreFull(
            f"{free_gb:.1f} GB are free, and node.reserve_gb and node.watermark_percent keep "
            f"{kept_gb:.1f} GB: images are refused; make room."
        )
    return f"{free_gb:.1f} GB free, {kept_gb:.1f} GB kept in reserve"


def _bucket(values: "Settings") -> str:
    from agent import bootstrap

    return bootstrap.try_bucket(values)


def _database(values: "Settings") -> str:
    from agent import bootstrap

    storage = bootstrap.open_storage(values)
    with closing(storage.database) as database:
        database.check()
        return str(database.engine.dialect.name)


def _model(values: "Settings") -> str:
    from agent import bootstrap

    storage = bootstrap.open_storage(values)
    with closing(storage.database):
        model = bootstrap.open_models(values, storage)(None)
    return f"{model.description.name} {model.description.version} on {model.runtime}"


def _status(values: "Settings") -> str:
    """Free, or held by a status page, which alone answers like that."""
    import requests

    from agent import bootstrap
    from agent.status import users

    wanted = values.status
    if not wanted.enabled:
        return "switched off (status.enabled)"
    place = f"{wanted.host}:{wanted.port}"
    nobody = wanted.is_guarded and not users.names(bootstrap.users_file(values))
    hint = "; nobody can sign in yet: `neurosieve users add NAME`" if nobody else ""
    try:
        with socket.create_server((wanted.host, wanted.port)):
            return f"{place} is free{hint}"
    except OSError as error:
        scheme = "https" if wanted.certificate_file else "http"
        try:  # the certificate may be for another name; nothing but "ok" is asked
            answer = requests.get(f"{scheme}://{place}/healthz", timeout=3, verify=False)
        except requests.RequestException:
            answer = None
        if answer is None or answer.text != "ok\n":
            raise OSError(f"{place} cannot be used: {error.strerror}.") from error
        return f"{place} is served by a running node{hint}"


def _alarms(values: "Settings") -> str:
    from agent import bootstrap
    from agent.errors import AgentError
    from agent.status import alarms, node_view

    storage = bootstrap.open_storage(values)
    with closing(storage.database):
        found = alarms.find(bootstrap.status_site(values, storage), node_view.now())
    if not found:
        return "none"
    sentences = " ".join(f"{one.what} {one.todo}" for one in found)
    critical = any(one.severity is alarms.Severity.CRITICAL for one in found)
    raise AgentError(sentences) if critical else Warned(sentences)


def _port(values: "Settings") -> str:
    """Free, or held by this node: a C-ECHO tells the two apart from anything else."""
    from agent.dicom import sender
    from agent.dicom.peer import Destination
    from agent.errors import PeerError

    host, port = values.node.host, values.node.port
    if values.tls.only:
        return f"not opened (tls.only){_senders(values)}"
    try:
        with socket.create_server((host, port)):
            return f"{host}:{port} is free{_senders(values)}"
    except OSError as error:
        ourselves = Destination(
            name="this node", ae_title=values.node.ae_title, host=host, port=port
        )
        try:
            sender.echo(ourselves, calling_ae=values.node.ae_title)
        except PeerError:
            raise OSError(f"{host}:{port} cannot be used: {error.strerror}.") from error
        return f"{host}:{port} is served by a running node{_senders(values)}"


def _tls(values: "Settings") -> str:
    """Whether the files can be used, and for how long."""
    from agent import bootstrap
    from agent.dicom import tls
    from agent.errors import ConfigurationError

    files = bootstrap.tls_files(values.tls)
    if files is None:
        return "off: DICOM is not encrypted"
    tls.for_callers(files)
    days = tls.time_left(files.certificate_file).total_seconds() / 86400
    if days < 0:
        raise ConfigurationError("The certificate of [tls] has expired: nobody accepts it.")
    if days < CERTIFICATE_DAYS:
        raise Warned(f"The certificate of [tls] counts for {days:.0f} more days: renew it.")
    return f"port {values.tls.port}, certificate good for {days:.0f} more days"


def _senders(values: "Settings") -> str:
    """A hint where the network is listened to and nobody may send from there."""
    from agent.settings import LOOPBACK

    if values.node.host in LOOPBACK or values.peers or values.node.accept == "anyone":
        return ""
    return "; nobody but this machine may send yet: name the senders in [[peers]]"
