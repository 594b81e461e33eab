"""Getting results to their destinations, with proof that they are there."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from agent import audit_trail, ending
from agent.confirmation import Confirmation
from agent.dicom import sender, transport
from agent.errors import PeerError
from storage import results, studies
from storage.database import Database
from storage.enums import TERMINAL_STATES, DeliveryState, Priority, StudyState
from storage.records import StudyKey
from storage.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DeliverySteps:
    """What happens to the results of a study. Each step is idempotent.

    `profiles` holds the digest of what each destination gets, by its name.
    """

    database: Database
    store: Store
    destinations: tuple[transport.AnyDestination, ...]
    calling_ae: str
    profiles: Mapping[str, str]
    confirmation: Confirmation

    def plan(self, session: Session, key: StudyKey) -> tuple[str, ...]:
        """Name the destinations that still want results; without any the study ends here."""
        study = studies.get(session, key)
        if study.state in TERMINAL_STATES:
            return ()
        studies.advance(session, key, StudyState.DELIVERING, now=_now(), error=study.error)
        results.plan_deliveries(session, key, self.profiles, now=_now())
        waiting = {delivery.destination for delivery in ending.outstanding(session, key)}
        if not waiting:
            self.finish(session, key)
        return tuple(sorted(waiting))

    def deliver(self, key: StudyKey, destination: str) -> str:
        """Send what is still missing there and have it confirmed.

        Returns an empty text, or what went wrong. Both in one step: what is done stands in the
        database, so that a run of an older version, or one that was killed, goes on from there.
        """
        peer = next((one for one in self.destinations if one.name == destination), None)
        if peer is None:
            return f"{destination} is no longer in the configuration."
        missing = self._missing(key, destination)
        if missing and (problem := self._store(key, missing, peer)):
            return problem
        return self.confirmation.confirm(key, peer)

    def _store(
        self, key: StudyKey, missing: Sequence[sender.SendItem], peer: transport.AnyDestination
    ) -> str:
        destination = peer.name
        outcomes = self._send(missing, peer)
        self._note(key, destination, outcomes)
        failed = [outcome for outcome in outcomes if not outcome.stored]
        logger.info(
            "%d of %d results stored at %s",
            len(outcomes) - len(failed),
            len(outcomes),
            destination,
            extra={"action": "results_sent", "study": key, "destination": destination},
        )
        if not failed:
            return ""
        return f"{destination}: {len(failed)} of {len(outcomes)} not stored: {failed[0].message}"

    def finish(self, session: Session, key: StudyKey) -> None:
        """End the study if every destination has everything."""
        ending.finish(session, key)

    def abandon(self, session: Session, key: StudyKey, why: str) -> None:
        """End the study as failed; a person must look."""
        if studies.get(session, key).state in TERMINAL_STATES:
            return
        studies.advance(session, key, StudyState.FAILED, now=_now(), error=why)
        logger.error(
            "Study failed, a person must look: %s",
            why,
            extra={"action": "study_failed", "study": key},
        )

    def _missing(self, key: StudyKey, destination: str) -> list[sender.SendItem]:
        with self.database.read() as session:
            study = studies.get(session, key)
            if study.state in TERMINAL_STATES:
                return []
            wanted = {
                delivery.sop_uid
                for delivery in ending.outstanding(session, key)
                if delivery.destination == destination
                and delivery.state is not DeliveryState.STORED
            }
            objects = [one for one in results.objects_of(session, key) if one.sop_uid in wanted]
        paths = self.store.paths_of(item.path for item in objects)
        return [
            sender.SendItem(
                path=path,
                sop_uid=item.sop_uid,
                sop_class_uid=item.sop_class_uid,
                transfer_syntax_uid=item.transfer_syntax_uid,
                urgent=study.priority is Priority.STAT,
            )
            for item, path in zip(objects, paths, strict=True)
        ]

    def _send(
        self, items: Sequence[sender.SendItem], peer: transport.AnyDestination
    ) -> list[sender.SendOutcome]:
        try:
            return transport.send(items, peer, calling_ae=self.calling_ae)
        except PeerError as error:
            return [
                sender.SendOutcome(
                    sop_uid=item.sop_uid, stored=False, status=None, message=str(error)
                )
                for item in items
            ]

    def _note(
        self, key: StudyKey, destination: str, outcomes: Sequence[sender.SendOutcome]
    ) -> None:
        with self.database.begin() as session:
            for outcome in outcomes:
                results.record_delivery(
                    session,
                    sop_uid=outcome.sop_uid,
                    destination=destination,
                    state=DeliveryState.STORED if outcome.stored else DeliveryState.FAILED,
                    status=outcome.status,
                    error=None if outcome.stored else outcome.message,
                    now=_now(),
                )
            stored = sum(outcome.stored for outcome in outcomes)
            audit_trail.sent(
                session,
                key,
                by=self.calling_ae,
                destination=destination,
                stored=stored,
                tried=len(outcomes),
            )


def _now() -> datetime:
    return datetime.now(UTC)
