"""From the settings to the systems we call: where results go, and whom we ask what it holds."""

import uuid
from dataclasses import fields, replace

from agent.bootstrap.entrances import identity_for_calls
from agent.composition import Appearance
from agent.dicom.holdings import Source
from agent.dicom.objects.profiles import MapValues, Profile, ReportClass, Slices, Syntax
from agent.dicom.peer import Destination
from agent.dicom.tls import Identity
from agent.dicom.transport import AnyDestination
from agent.dicom.web import WebDestination
from agent.settings import DestinationSettings, PeerSettings, ResultSettings, Settings
from storage.enums import Role


def destinations(settings: Settings) -> tuple[AnyDestination, ...]:
    """Where results go."""
    identity = identity_for_calls(settings.tls)
    return tuple(_destination(one, identity) for one in settings.destinations)


def _destination(one: DestinationSettings, identity: Identity | None) -> AnyDestination:
    if one.transport == "stow":
        return WebDestination(
            **one.model_dump(include={one.name for one in fields(WebDestination)})
        )
    return Destination(
        name=one.name,
        ae_title=one.ae_title,
        host=one.host,
        port=one.port,
        identity=identity if one.tls else None,
    )


def sources(settings: Settings) -> dict[str, Source]:
    """The senders that may be asked what they hold, by their AE titles."""
    return {
        one.ae_title: _source(settings, one, _called(settings, one))
        for one in settings.peers
        if one.ask != "off"
    }


def _source(settings: Settings, one: PeerSettings, called: Destination) -> Source:
    web = {field.name for field in fields(WebDestination)} & set(PeerSettings.model_fields)
    asked = WebDestination(name=one.ae_title, **one.model_dump(include=web)) if one.url else called
    return Source(
        ae_title=one.ae_title,
        at=asked,
        mover=called if one.ask == "move" else None,
        calling_ae=settings.node.ae_title,
    )


def _called(settings: Settings, one: PeerSettings) -> Destination:
    """A sender as we call it."""
    return Destination(
        name=one.ae_title,
        ae_title=one.ae_title,
        host=one.host,
        port=one.port,
        identity=identity_for_calls(settings.tls) if one.tls else None,
    )


def report_address(settings: Settings, ae_title: str, caller: str) -> Destination | None:
    """Where a peer takes our reports on storage commitment; it called from that address."""
    for one in settings.peers:
        if one.ae_title == ae_title:
            called = _called(settings, one)
            # A network is no place to call.
            return replace(called, host=caller) if "/" in one.host else called
    known = (one for one in destinations(settings) if isinstance(one, Destination))
    return next((one for one in known if one.ae_title == ae_title), None)


def appearance(settings: Settings, namespace: uuid.UUID) -> Appearance:
    """How result objects look where no destination says otherwise."""
    return Appearance(
        namespace=namespace,
        device_name=settings.node.ae_title,
        profile=_profile(settings.results),
    )


def profiles(settings: Settings) -> dict[str, Profile]:
    """What each destination gets, by its name."""
    return {one.name: _profile(settings.results_for(one)) for one in settings.destinations}


def _profile(wanted: ResultSettings) -> Profile:
    described = sorted(wanted.series_descriptions.items())
    return Profile(
        report=ReportClass(wanted.report),
        segmentation=wanted.segmentation,
        heatmap=Slices(wanted.heatmap),
        parametric_map=MapValues(wanted.parametric_map),
        key_images=wanted.key_images,
        derived_series=wanted.derived_series,
        rejection_note=wanted.rejection_note,
        transfer_syntax=Syntax(wanted.transfer_syntax),
        series_number_base=wanted.series_number_base,
        series_descriptions=tuple((Role(name.upper()), text) for name, text in described),
    )
