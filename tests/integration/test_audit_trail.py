"""What the node notes by itself: nothing waits for it, nothing fails by it, one chain comes out."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

import together
from agent import audit_trail
from agent.audit_trail import Seldom, Trail
from agent.completeness import Limits
from agent.completion import Completion
from agent.dicom.front_door import FrontDoor, Sender
from agent.inquiries import Inquiries
from agent.jobs import Jobs
from received import image
from reception import HOST, association_to, receiving_node
from running import wait_until
from storage import audit, studies
from storage.database import Database, open_database
from storage.files import FileStore
from storage.records import AuditEvent, StudyUid

STUDIES = 6


@contextmanager
def keeping(database: Database) -> Iterator[Trail]:
    """A running trail."""
    trail = Trail(database)
    trail.start()
    try:
        yield trail
    finally:
        trail.stop()


def events(database: Database) -> list[AuditEvent]:
    """The oldest first."""
    with database.read() as session:
        audit.verify(session)
        return list(audit.since(session))


class Nobody:
    """No association is open."""

    def open_studies(self) -> frozenset[StudyUid]:
        return frozenset()


def complete_all(url: str) -> None:
    """What one listening process does when its studies are quiet."""
    database = open_database(url)
    jobs = Jobs(database)
    completion = Completion(
        database=database,
        jobs=jobs,
        listener=Nobody(),
        inquiries=Inquiries(
            database=database,
            store=FileStore(Path(tempfile.gettempdir()), reserve_bytes=0),
            sources={},
        ),
        limits=lambda _: Limits(quiet_seconds=0.0, wait_seconds=0.0),
    )
    try:
        completion.look()
    finally:
        jobs.close()
        database.close()


def note_results(url: str, number: int) -> None:
    """What a worker does that has sent the results of one study after another."""
    database = open_database(url)
    for turn in range(STUDIES):
        with database.begin() as session:
            key = studies.latest(session, StudyUid(f"1.2.{(number + turn) % STUDIES}")).key
            audit_trail.sent(
                session, key, by="NODE", destination="pacs", stored=1, tried=1 + number % 2
            )
    database.close()


def test_what_is_told_is_written_in_its_order(database: Database) -> None:
    with keeping(database) as trail:
        for number in range(50):
            trail.tell("ada", audit_trail.SIGNED_IN, str(number))
    assert [one.subject for one in events(database)] == [str(number) for number in range(50)]


def test_who_tells_does_not_wait_while_another_holds_the_audit(database: Database) -> None:
    with keeping(database) as trail, database.begin() as session:
        audit.append(session, who="x", action="a", subject="", now=image().received_at)
        told = threading.Thread(target=trail.tell, args=("ada", audit_trail.SIGNED_IN, "1"))
        told.start()
        told.join(2.0)
        assert not told.is_alive()
    assert [one.who for one in events(database)] == ["x", "ada"]


def test_too_many_events_at_once_are_counted_in_the_log(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    trail = Trail(database, maximum_waiting=3)
    for number in range(10):
        trail.tell("ada", audit_trail.SIGNED_IN, str(number))
    trail.start()
    trail.stop()
    assert len(events(database)) == 3
    assert "7 events are missing in the audit" in caplog.text


def test_an_event_waits_for_a_database_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_trail, "RETRY_SECONDS", 0.05)
    database = open_database(f"sqlite:///{tmp_path / 'late.db'}")
    with keeping(database) as trail:
        trail.tell("ada", audit_trail.SIGNED_IN, "1")  # there is no table yet
        threading.Event().wait(0.2)
        database.migrate()
        wait_until(lambda: len(events(database)) == 1, timeout_seconds=10, what="the event")
    database.close()


def test_a_flood_of_one_address_or_of_many_passes_seldom() -> None:
    seldom = Seldom(seconds=600.0, most=5)
    assert [seldom.may_pass("10.0.0.1") for _ in range(3)] == [True, False, False]
    assert sum(seldom.may_pass(f"10.0.1.{number}") for number in range(100)) == 4


def test_a_key_passes_again_after_its_time() -> None:
    seldom = Seldom(seconds=0.01)
    assert seldom.may_pass("x")
    threading.Event().wait(0.05)
    assert seldom.may_pass("x")


def test_a_rejected_association_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    door = FrontDoor([Sender(ae_title="PACS", host=HOST)], this_machine=False)
    with (
        receiving_node(
            tmp_path, door=door, on_rejected=lambda title, address: told.append((title, address))
        ) as node,
        association_to(node.listener.port, title="STRANGER") as association,
    ):
        assert not association.is_established
    assert told == [("STRANGER", HOST)]


def test_listeners_and_workers_that_note_at_once_make_one_chain(
    database: Database, database_url: str
) -> None:
    """Whoever waits for the audit holds nothing that the one who has it waits for."""
    Jobs(database).close()  # makes the engine's tables
    with database.begin() as session:
        studies.record_instances(session, [image(study=f"1.2.{n}") for n in range(STUDIES)])
    together.run(
        threads=[
            *[(complete_all, (database_url,)) for _ in range(2)],
            *[(note_results, (database_url, number)) for number in range(4)],
        ]
    )
    found = [one.action for one in events(database)]
    assert found.count(audit_trail.IMAGES_RECEIVED) == STUDIES
    assert found.count(audit_trail.RESULTS_SENT) == 2 * STUDIES
    assert found.count(audit_trail.RESULTS_NOT_SENT) == 2 * STUDIES


def test_a_study_and_its_event_are_written_together_or_not_at_all(
    database: Database, database_url: str
) -> None:
    Jobs(database).close()
    with database.begin() as session:
        studies.record_instances(session, [image(study="1.2.0")])
    with database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_event RENAME TO away"))
    try:
        with pytest.raises(Exception, match="audit_event"):
            complete_all(database_url)
        with database.read() as session:
            assert len(studies.receiving(session)) == 1
    finally:
        with database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO audit_event"))
