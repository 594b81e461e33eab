"""Who may open an association: this machine, and the senders that are configured.

Anybody else is rejected before a presentation context is looked at: A-ASSOCIATE-RJ, permanent, by
the service user, calling AE title not recognised (PS3.8 9.3.4).
"""

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

NAMES_SECONDS = 60.0  # how long the addresses of a host name are believed

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sender:
    """One that may send: its AE title, and its address, network (10.1.2.0/24) or host name.

    Where a certificate is named, it has to show one with this common or alternative name as well.
    """

    ae_title: str
    host: str
    certificate: str = ""


class FrontDoor:
    """Decides on the two things that a sender shows: AE title and address."""

    def __init__(
        self, senders: Sequence[Sender] = (), *, anyone: bool = False, this_machine: bool = True
    ) -> None:
        self._senders = tuple(senders)
        self._anyone = anyone
        self._this_machine = this_machine
        self._literal = {one.host: _network(one.host) for one in self._senders}
        self._known: dict[str, tuple[float, tuple[Network, ...]]] = {}
        self._lock = threading.Lock()

    def refusal(
        self, ae_title: str, address: str, certificate_names: frozenset[str] = frozenset()
    ) -> str | None:
        """Why this sender may not come in, as one sentence for the log; None where it may."""
        if self._anyone:
            return None
        place = _address(address)
        if place.is_loopback and self._this_machine:
            return None
        named = [one for one in self._senders if one.ae_title == ae_title.strip()]
        if not named:
            return "Its AE title is not in [[peers]]."
        here = [one for one in named if any(place in net for net in self._networks(one.host))]
        if not here:
            return "Its address is not that of the peer with this AE title."
        if not any(one.certificate in ("", *certificate_names) for one in here):
            return "It showed no certificate in the name that [[peers]] asks of it."
        return None

    def _networks(self, host: str) -> tuple[Network, ...]:
        """The addresses of a host, asked for anew from time to time: they may move."""
        literal = self._literal.get(host)
        if literal is not None:
            return (literal,)
        with self._lock:  # a name server that does not answer holds up the peers with names only
            found = self._known.get(host)
            if found is None or time.monotonic() - found[0] > NAMES_SECONDS:
                found = (time.monotonic(), _resolved(host))
                self._known[host] = found
            return found[1]


def _address(text: str) -> Address:
    """An address as it is written here; an IPv4 one inside IPv6 is that IPv4 one."""
    found = ipaddress.ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _network(host: str) -> Network | None:
    try:
        return ipaddress.ip_network(host, strict=False)
    except ValueError:
        return None  # a name


def _resolved(host: str) -> tuple[Network, ...]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        _log.warning(
            "The address of peer %s is not known: %s", host, error, extra={"action": "peer_unknown"}
        )
        return ()
    return tuple({ipaddress.ip_network(str(one[4][0]).partition("%")[0]) for one in found})
