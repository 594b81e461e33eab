"""`neurosieve destinations`: where results go, and whether they would arrive."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.border import (
    ConfigOption,
    JsonOption,
    one_sentence,
    print_facts,
    print_json,
    problems,
    say,
    show,
)

if TYPE_CHECKING:
    from agent.dicom.peer import Destination
    from agent.dicom.transport import AnyDestination
    from agent.settings import DestinationSettings, Settings

app = typer.Typer(help="See, add and try where results go.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The destination's name.", show_default=False)]
COLUMNS = ("name", "transport", "address", "login", "objects")
OPTIONAL = (
    *("segmentation", "heatmap", "parametric_map", "key_images", "derived_series"),
    "rejection_note",
)
ANSWERS = ("object", "accepted", "detail")
SECRETS = frozenset({"token", "password"})


@app.command("list")
@one_sentence
def list_destinations(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the configured destinations.

    Example: neurosieve destinations list
    """
    from agent import settings

    values = settings.load(config)
    rows = [_row(one, values) for one in values.destinations]
    show(rows, columns=COLUMNS, title="Destinations", as_json=as_json)


@app.command("show")
@one_sentence
def show_destination(
    name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show one destination, without its secrets.

    Example: neurosieve destinations show pacs
    """
    from agent import settings

    values = settings.load(config)
    facts = _facts(_configured(values, name), values)
    if as_json:
        print_json(facts)
    else:
        print_facts(f"Destination {name}", facts)


@app.command()
@one_sentence
def add(
    name: NameArgument,
    config: ConfigOption = None,
    ae_title: Annotated[str | None, typer.Option(help="DIMSE: the peer's AE title.")] = None,
    host: Annotated[str | None, typer.Option(help="DIMSE: name or address.")] = None,
    port: Annotated[int | None, typer.Option(help="DIMSE: TCP port.")] = None,
    url: Annotated[str | None, typer.Option(help="STOW-RS: root of the DICOMweb service.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token.")] = None,
    username: Annotated[
        str | None, typer.Option(help="Basic login; the password is asked for.")
    ] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Authority to trust, PEM.")] = None,
    certificate_file: Annotated[Path | None, typer.Option(help="Our certificate, PEM.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
) -> None:
    """Add a destination to the configuration file: DIMSE, or with --url STOW-RS.

    Example: neurosieve destinations add vna --ae-title VNA --host vna --port 104
    """
    from agent import settings
    from agent.cli import configuration_file

    given = {
        "ae_title": ae_title,
        "host": host,
        "port": port,
        "url": url,
        "token_file": token_file,
        "username": username,
        "password": typer.prompt("Password", hide_input=True) if username else None,
        "ca_file": ca_file,
        "certificate_file": certificate_file,
        "key_file": key_file,
    }
    values = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in given.items()
        if value is not None
    }
    file = config or settings.DEFAULT_FILE
    transport = "stow" if url else "dimse"
    configuration_file.add_destination(file, {"name": name, "transport": transport} | values)
    say(f"Added {name} to {file}. Try it: neurosieve destinations test {name}")
    say("A node that runs takes it up when it is started again.")


@app.command("test")
@one_sentence
def try_destination(
    name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Try a destination without sending anything; exit 1 where results would not arrive.

    DIMSE: C-ECHO, and which objects the peer accepts. STOW-RS: a query, which shows that the
    service is there and lets us in.

    Example: neurosieve destinations test pacs
    """
    from agent import bootstrap, settings
    from agent.dicom import transport
    from agent.dicom.peer import Destination

    values = settings.load(config)
    _configured(values, name)
    peer = next(one for one in bootstrap.destinations(values) if one.name == name)
    answer = transport.check(peer, calling_ae=values.node.ae_title)
    rows = [_answer(peer, answer), _proof(values, peer)]
    if isinstance(peer, Destination):
        rows += _classes(values, peer)
    show(rows, columns=ANSWERS, title=f"Destination {name}", as_json=as_json)
    refused = [str(row["object"]) for row in rows if row["wanted"] and row["accepted"] == "no"]
    if refused:
        say(f"{name} refuses what it is to receive: {', '.join(refused)}.", on=problems)
        raise typer.Exit(1)


def _answer(peer: "AnyDestination", detail: str) -> dict[str, object]:
    from agent.dicom.peer import Destination

    asked = "C-ECHO" if isinstance(peer, Destination) else "QIDO-RS"
    return {"object": asked, "accepted": "yes", "wanted": True, "detail": detail}


def _proof(values: "Settings", peer: "AnyDestination") -> dict[str, object]:
    """Whether it proves that it keeps what it was sent; without, results count once stored."""
    from agent import confirmation
    from agent.confirmation import Confirm

    way = Confirm(_configured(values, peer.name).confirm)
    offered, words = confirmation.outlook(way, peer, calling_ae=values.node.ae_title)
    demanded = way in (Confirm.COMMITMENT, Confirm.QUERY)
    missing = "no" if demanded else "warning"
    return {
        "object": "proof of delivery",
        "accepted": "yes" if offered else missing,
        "wanted": demanded,
        "detail": words,
    }


def _classes(values: "Settings", peer: "Destination") -> list[dict[str, object]]:
    """A row for each SOP class that results may have."""
    from pydicom.uid import ExplicitVRLittleEndian

    from agent import bootstrap
    from agent.dicom import result_classes, sender

    wanted = result_classes.wanted(bootstrap.profiles(values)[peer.name])
    plain = dict.fromkeys(result_classes.NAMES, str(ExplicitVRLittleEndian))
    answers = sender.accepted_classes(peer, plain | wanted, calling_ae=values.node.ae_title)
    return [
        {
            "object": result_classes.NAMES[one.sop_class_uid],
            "sop_class_uid": one.sop_class_uid,
            "accepted": "yes" if one.accepted else "no",
            "wanted": one.sop_class_uid in wanted,
            "detail": one.detail + ("" if one.sop_class_uid in wanted else "; not sent there"),
        }
        for one in answers
    ]


def _configured(values: "Settings", name: str) -> "DestinationSettings":
    from agent.errors import ConfigurationError

    for one in values.destinations:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in values.destinations) or "none"
    raise ConfigurationError(f"There is no destination {name}; configured: {known}.")


def _row(one: "DestinationSettings", values: "Settings") -> dict[str, object]:
    where = one.url or f"{one.ae_title} at {one.host}:{one.port}"
    login = next((key for key in ("token", "token_file", "username") if getattr(one, key)), None)
    results = values.results_for(one)
    objects = ["report"]
    for name in OPTIONAL:
        if getattr(results, name) not in (False, "off"):
            objects.append(name)
    return _facts(one, values) | {
        "address": where,
        "login": login,
        "objects": ", ".join(objects).replace("_", " "),
    }


def _facts(one: "DestinationSettings", values: "Settings") -> dict[str, object]:
    """What is configured, and what follows for the results; of a secret only that there is one."""
    facts = one.model_dump(mode="json", exclude_unset=True)
    hidden = {key: "set" for key in SECRETS if key in facts}
    results = values.results_for(one).model_dump(mode="json")
    named = {"name": one.name, "transport": one.transport}
    return named | facts | hidden | {"results": results}
