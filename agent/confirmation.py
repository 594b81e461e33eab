"""Whether a destination holds what it was sent: storage commitment, or reading it back.

Each call goes on from what the database says, so that it may run twice, end anywhere, and take up
an answer that another process received.
"""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from agent import ending
from agent.dicom import commitment, transport
from agent.dicom.commitment_messages import Reference, Report
from agent.dicom.peer import Destination
from agent.errors import BrokeOff, NotOffered, PeerError
from storage import proofs, results, studies
from storage.database import Database
from storage.enums import TERMINAL_STATES, DeliveryState, Proof
from storage.records import (
    Commitment,
    Delivery,
    ResultObject,
    SeriesUid,
    SopUid,
    StudyKey,
    StudyUid,
)

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25


class Confirm(StrEnum):
    """How a destination is to prove that it holds what it was sent."""

    AUTO = "auto"  # commitment where the peer offers it, else a query, else not at all
    COMMITMENT = "commitment"
    QUERY = "query"
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a destination has stored and not proven; `asked` are the commitments asked for."""

    key: StudyKey
    objects: Mapping[SopUid, ResultObject]
    deliveries: Mapping[SopUid, Delivery]
    asked: tuple[Commitment, ...]

    def series(self) -> Iterator[tuple[StudyUid, SeriesUid]]:
        """The series that the objects lie in."""
        study_uid = StudyUid(self.key.rpartition("#")[0])
        for series_uid in dict.fromkeys(one.series_uid for one in self.objects.values()):
            yield study_uid, series_uid


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """Asks destinations for proof.

    `ways` names the way by destination, AUTO for all others. An answer to a storage commitment may
    take `commitment_seconds` before it is asked for anew, and is waited for `wait_seconds` at a
    time; for `index_seconds` a peer may not find what it has just stored, or hang up.
    """

    database: Database
    calling_ae: str
    ways: Mapping[str, Confirm]
    commitment_seconds: float = 600.0
    wait_seconds: float = 3.0
    index_seconds: float = 60.0

    def confirm(self, key: StudyKey, peer: transport.AnyDestination) -> str:
        """Get proof for what is stored there; return an empty text, or what is missing."""
        stored = self._unproven(key, peer.name)
        if stored is None or not stored.objects:
            return ""
        way = self.ways.get(peer.name, Confirm.AUTO)
        problem, unclear = "", False
        for ask in self._in_order(way, peer, stored):
            try:
                return ask()
            except NotOffered as error:
                problem, unclear = str(error), unclear or isinstance(error, BrokeOff)
            except PeerError as error:
                return str(error)
        if way in (Confirm.COMMITMENT, Confirm.QUERY) or (unclear and self._is_new(stored)):
            return problem
        self._do_without(stored, peer.name, way)
        return ""

    def _in_order(
        self, way: Confirm, peer: transport.AnyDestination, stored: Stored
    ) -> Iterator[Callable[[], str]]:
        """The questions to be asked, each only where the one before is not offered."""
        offers: list[tuple[Confirm, Callable[[], str]]] = []
        if isinstance(peer, Destination):
            offers.append((Confirm.COMMITMENT, lambda: self._commit(stored, peer)))
        offers.append((Confirm.QUERY, lambda: self._read_back(stored, peer)))
        if way is Confirm.AUTO and any(self._is_overdue(one) for one in stored.asked):
            offers.reverse()  # a peer that promised and did not answer may not know our address
        yield from (ask for name, ask in offers if way in (name, Confirm.AUTO))

    def _commit(self, stored: Stored, peer: Destination) -> str:
        due = {one.transaction_uid for one in stored.asked if self._is_due(one)}
        to_ask = {uid for uid, one in stored.deliveries.items() if one.transaction_uid not in due}
        if to_ask:
            self._ask(stored, to_ask, peer)
        else:
            self._wait(lambda: self._is_answered(due))
        return self._what_is_missing(stored.key, peer.name)

    def _ask(self, stored: Stored, sop_uids: Collection[SopUid], peer: Destination) -> None:
        """Ask, and wait a little for a report on this association or at our listener."""
        transaction_uid = f"2.25.{uuid.uuid4().int}"
        # First the row: the report may reach the listener before the request has returned. If this
        # process ends in between, the next try asks anew, and what comes for this one still counts.
        with self.database.begin() as session:
            proofs.ask(session, transaction_uid, peer.name, sop_uids, now=_now())
        references = [
            Reference(sop_class_uid=one.sop_class_uid, sop_uid=uid)
            for uid, one in stored.objects.items()
            if uid in sop_uids
        ]
        with commitment.asked(
            peer, transaction_uid, references, calling_ae=self.calling_ae, take=self._take
        ) as opened:
            with self.database.begin() as session:
                proofs.accept(session, transaction_uid, now=_now())
            opened.wait(
                _every(_LOOK_SECONDS, lambda: self._is_answered({transaction_uid})),
                seconds=self.wait_seconds,
            )

    def _take(self, report: Report) -> None:
        """Keep a report that came while we waited; the study ends where its delivery is settled."""
        ending.take_report(self.database, report)

    def _wait(self, is_over: Callable[[], bool]) -> None:
        end = time.monotonic() + self.wait_seconds
        while not is_over() and time.monotonic() < end:
            time.sleep(_LOOK_SECONDS)

    def _what_is_missing(self, key: StudyKey, destination: str) -> str:
        with self.database.read() as session:
            mine = [
                one
                for one in results.deliveries_of(session, key)
                if one.destination == destination and not one.is_done
            ]
        refused = [one for one in mine if one.state is DeliveryState.FAILED]
        if refused:
            return f"{destination}: {len(refused)} stored and not kept: {refused[0].error}"
        if mine:
            return (
                f"{destination} has not answered the request for storage commitment of "
                f"{len(mine)} results. Does it know our AE title, host and port?"
            )
        return ""

    def _read_back(self, stored: Stored, peer: transport.AnyDestination) -> str:
        there: set[SopUid] = set()
        for study_uid, series_uid in stored.series():
            there |= transport.classes_of(
                peer, study_uid, series_uid, calling_ae=self.calling_ae
            ).keys()
        found = stored.objects.keys() & there
        absent = stored.objects.keys() - there
        lost = {uid for uid in absent if not self._is_recent(stored.deliveries[uid])}
        with self.database.begin() as session:
            proofs.hold(session, peer.name, found, Proof.QUERY, now=_now())
            proofs.put_back(
                session,
                peer.name,
                lost,
                status=None,
                error="The peer answered Success and does not show it in a query.",
                now=_now(),
            )
        if absent:
            return f"{peer.name} does not show {len(absent)} of {len(stored.objects)} results."
        return ""

    def _do_without(self, stored: Stored, destination: str, way: Confirm) -> None:
        with self.database.begin() as session:
            proofs.hold(session, destination, stored.objects.keys(), Proof.NONE, now=_now())
        if way is not Confirm.OFF:
            logger.warning(
                "%s offers neither storage commitment nor a query: %d results count as delivered "
                "without proof",
                destination,
                len(stored.objects),
                extra={"action": "no_proof", "study": stored.key, "destination": destination},
            )

    def _unproven(self, key: StudyKey, destination: str) -> Stored | None:
        with self.database.read() as session:
            if studies.get(session, key).state in TERMINAL_STATES:
                return None
            deliveries = {
                one.sop_uid: one
                for one in results.deliveries_of(session, key)
                if one.destination == destination
                and one.state is DeliveryState.STORED
                and not one.is_done
            }
            asked = {one.transaction_uid for one in deliveries.values() if one.transaction_uid}
            objects = results.objects_of(session, key)
            return Stored(
                key=key,
                objects={one.sop_uid: one for one in objects if one.sop_uid in deliveries},
                deliveries=deliveries,
                asked=tuple(proofs.transactions(session, asked)),
            )

    def _is_new(self, stored: Stored) -> bool:
        return any(self._is_recent(one) for one in stored.deliveries.values())

    def _is_recent(self, stored: Delivery) -> bool:
        return stored.updated_at > _now() - timedelta(seconds=self.index_seconds)

    def _is_answered(self, transaction_uids: Collection[str]) -> bool:
        with self.database.read() as session:
            found = proofs.transactions(session, transaction_uids)
        return all(one.answered_at for one in found)

    def _is_due(self, one: Commitment) -> bool:
        """Whether the peer has taken the request and has time left to answer."""
        return bool(one.accepted_at) and not one.answered_at and not self._is_overdue(one)

    def _is_overdue(self, one: Commitment) -> bool:
        if one.accepted_at is None or one.answered_at is not None:
            return False
        return _now() - one.accepted_at > timedelta(seconds=self.commitment_seconds)


def outlook(way: Confirm, peer: transport.AnyDestination, *, calling_ae: str) -> tuple[bool, str]:
    """Whether the destination offers the proof that is wanted, and which one, in words.

    `PeerError` when it cannot be reached.
    """
    if way is Confirm.OFF:
        return True, "proof of delivery is switched off"
    commits, shows = transport.proofs_offered(peer, calling_ae=calling_ae)
    if commits and way is not Confirm.QUERY:
        return True, "it offers storage commitment"
    if shows and way is not Confirm.COMMITMENT:
        return True, "what it was sent can be read back"
    return False, {
        Confirm.AUTO: "it offers neither storage commitment nor a query: no proof of delivery",
        Confirm.COMMITMENT: "it does not offer storage commitment, which confirm demands",
        Confirm.QUERY: "it answers no query, which confirm demands",
    }[way]


def _every(seconds: float, look: Callable[[], bool]) -> Callable[[], bool]:
    """The same question, answered by a look no more often than that."""
    next_look = time.monotonic()

    def said() -> bool:
        nonlocal next_look
        if time.monotonic() < next_look:
            return False
        next_look = time.monotonic() + seconds
        return look()

    return said


def _now() -> datetime:
    return datetime.now(UTC)
