"""Delivery with proof: what a destination holds, and what happens where it does not."""

from pathlib import Path

import pytest

import delivering
from agent.confirmation import Confirm
from agent.engine import Patience
from agent.settings import DeliverySettings
from delivering import Bench, bench, listening
from orthanc import free_port
from proving_pacs import ProvingPacs, proving_pacs
from storage.database import Database
from storage.enums import DeliveryState, Proof, StudyState

COMMITTED = {DeliveryState.COMMITTED}


def proofs(here: Bench) -> set[Proof | None]:
    return {one.proof for one in here.deliveries()}


@pytest.mark.parametrize("reports", ["at once", "same"])
def test_a_commitment_on_the_same_association_proves_the_delivery(
    database: Database, tmp_path: Path, reports: str
) -> None:
    """Whether the report comes before the answer to the request or after it."""
    with proving_pacs(reports=reports) as pacs:
        here = bench(database, tmp_path, pacs.destination)
        assert here.deliver() == ""
        assert here.states() == COMMITTED
        assert proofs(here) == {Proof.COMMITMENT}
        assert here.study().state is StudyState.DELIVERED
        assert pacs.answers == [0x0000]
        assert here.deliver() == ""  # twice does no harm
        assert (pacs.stored, len(pacs.requests)) == (3, 1)


def test_a_report_on_a_new_association_reaches_the_worker_through_the_database(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    with (
        listening(database_url, tmp_path / "listener") as listener,
        proving_pacs(reports="new", node_port=listener.port) as pacs,
    ):
        here = bench(database, tmp_path, pacs.destination, wait_seconds=10.0)
        assert here.deliver() == ""
    assert here.states() == COMMITTED
    assert here.study().state is StudyState.DELIVERED
    assert pacs.answers == [0x0000]


def test_a_late_report_ends_the_study_and_is_not_asked_for_again(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    with (
        listening(database_url, tmp_path / "listener") as listener,
        proving_pacs(reports="later", node_port=listener.port) as pacs,
    ):
        here = bench(database, tmp_path, pacs.destination, wait_seconds=0.2)
        for _ in range(3):
            assert "has not answered" in here.deliver()
        assert (pacs.stored, len(pacs.requests)) == (3, 1)
        assert here.states() == {DeliveryState.STORED}
        pacs.report()
        assert here.states() == COMMITTED
        assert here.study().state is StudyState.DELIVERED  # though no worker has looked
        assert here.deliver() == ""
        pacs.report()  # once more
    assert pacs.answers == [0x0000, 0x0000]
    assert here.states() == COMMITTED


def test_a_worker_killed_between_request_and_report_loses_neither(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """The request was not noted as taken; its report counts all the same."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with (
        listening(database_url, tmp_path / "listener") as listener,
        proving_pacs(reports="later", node_port=listener.port) as pacs,
    ):
        here = bench(database, tmp_path, pacs.destination, wait_seconds=0.2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("agent.confirmation.proofs.accept", killed)
            with pytest.raises(KeyboardInterrupt):
                here.deliver()
        assert here.states() == {DeliveryState.STORED}
        pacs.report()  # while nobody works
        assert here.states() == COMMITTED
        assert here.deliver() == ""
        assert here.study().state is StudyState.DELIVERED
        assert (pacs.stored, len(pacs.requests)) == (3, 1)


def test_a_worker_killed_before_the_request_left_asks_anew(
    database: Database, tmp_path: Path
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with proving_pacs() as pacs:
        here = bench(database, tmp_path, pacs.destination)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("agent.confirmation.commitment.asked", killed)
            with pytest.raises(KeyboardInterrupt):
                here.deliver()
        assert pacs.requests == []
        assert here.deliver() == ""
        assert here.states() == COMMITTED
        assert pacs.stored == 3


@pytest.mark.parametrize("way", [Confirm.AUTO, Confirm.COMMITMENT, Confirm.QUERY])
def test_a_pacs_that_accepts_and_forgets_is_sent_everything_again_until_it_keeps_it(
    database: Database, tmp_path: Path, way: Confirm
) -> None:
    with proving_pacs(forgets=True) as pacs:
        here = bench(database, tmp_path, pacs.destination, way=way, index_seconds=0.0)
        for _ in range(2):
            assert here.deliver()
            assert here.states() == {DeliveryState.FAILED}
            assert here.study().state is StudyState.DELIVERING
        failed = here.deliveries()[0]
        if way is Confirm.QUERY:
            assert (failed.status, failed.attempts) == (None, 2)
            assert "does not show it" in str(failed.error)
        else:
            assert (failed.status, failed.attempts) == (0x0112, 2)
            assert "0x0112" in here.problems[0]
        pacs.forgets = False
        assert here.deliver() == ""
    assert here.states() == COMMITTED
    assert here.study().state is StudyState.DELIVERED
    assert pacs.stored == 9


def test_only_what_failed_is_sent_again(database: Database, tmp_path: Path) -> None:
    with proving_pacs() as pacs:
        here = bench(database, tmp_path, pacs.destination)
        pacs.loses = {here.deliveries()[1].sop_uid}
        assert "1 stored and not kept" in here.deliver()
        committed, failed = DeliveryState.COMMITTED, DeliveryState.FAILED
        assert [one.state for one in here.deliveries()] == [committed, failed, committed]
        pacs.loses = set()
        assert here.deliver() == ""
    assert here.states() == COMMITTED
    assert pacs.stored == 4
    assert [len(asked) for _, asked in pacs.requests] == [3, 1]


def test_what_a_query_does_not_show_yet_is_waited_for_and_not_sent_again(
    database: Database, tmp_path: Path
) -> None:
    with proving_pacs(forgets=True) as pacs:
        here = bench(database, tmp_path, pacs.destination, way=Confirm.QUERY, index_seconds=30.0)
        assert "does not show 3 of 3" in here.deliver()
        assert here.states() == {DeliveryState.STORED}
        pacs.held = {one.sop_uid: "" for one in here.deliveries()}
        assert here.deliver() == ""
    assert proofs(here) == {Proof.QUERY}
    assert pacs.stored == 3


@pytest.mark.parametrize("reports", ["not offered", "refused"])
def test_without_commitment_the_objects_are_read_back(
    database: Database, tmp_path: Path, reports: str
) -> None:
    with proving_pacs(reports=reports) as pacs:
        here = bench(database, tmp_path, pacs.destination)
        assert here.deliver() == ""
    assert here.states() == COMMITTED
    assert proofs(here) == {Proof.QUERY}


@pytest.mark.parametrize("way", [Confirm.AUTO, Confirm.OFF])
def test_where_no_proof_is_to_be_had_the_study_ends_delivered_without(
    database: Database, tmp_path: Path, way: Confirm, caplog: pytest.LogCaptureFixture
) -> None:
    with proving_pacs(reports="not offered", finds=False) as pacs:
        here = bench(database, tmp_path, pacs.destination, way=way)
        assert here.deliver() == ""
    assert here.states() == {DeliveryState.STORED}
    assert proofs(here) == {Proof.NONE}
    assert here.study().state is StudyState.DELIVERED
    said = [one for one in caplog.records if getattr(one, "action", "") == "no_proof"]
    assert len(said) == (way is Confirm.AUTO)


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (Confirm.COMMITMENT, "does not offer storage commitment"),
        (Confirm.QUERY, "does not accept C-FIND"),
    ],
)
def test_a_proof_that_is_demanded_and_not_offered_is_a_problem(
    database: Database, tmp_path: Path, way: Confirm, why: str
) -> None:
    with proving_pacs(reports="not offered", finds=False) as pacs:
        here = bench(database, tmp_path, pacs.destination, way=way)
        assert why in here.deliver()
    assert here.states() == {DeliveryState.STORED}
    assert here.study().state is StudyState.DELIVERING


def test_a_commitment_that_is_overdue_is_asked_for_anew(database: Database, tmp_path: Path) -> None:
    with proving_pacs(reports="never") as pacs:
        here = bench(database, tmp_path, pacs.destination, way=Confirm.COMMITMENT, wait_seconds=0.1)
        assert "has not answered" in here.deliver()
        impatient = delivering.again(here, commitment_seconds=0.0)
        assert "has not answered" in impatient.deliver()
        assert len(pacs.requests) == 2
        pacs.reports = "same"
        assert delivering.again(impatient, wait_seconds=5.0).deliver() == ""
    assert here.states() == COMMITTED
    assert pacs.stored == 3


def test_a_pacs_that_promises_and_never_reports_is_read_back_after_the_deadline(
    database: Database, tmp_path: Path
) -> None:
    """It may not know our address: a usual fault of a first configuration."""
    with proving_pacs(reports="never") as pacs:
        here = bench(database, tmp_path, pacs.destination, wait_seconds=0.1)
        assert "has not answered" in here.deliver()
        assert delivering.again(here, commitment_seconds=0.0).deliver() == ""
    assert proofs(here) == {Proof.QUERY}
    assert len(pacs.requests) == 1


def test_a_pacs_that_is_away_is_a_problem_and_loses_nothing(
    database: Database, tmp_path: Path
) -> None:
    pacs = ProvingPacs(port=free_port())
    here = bench(database, tmp_path, pacs.destination)
    assert "cannot be reached" in here.deliver()
    assert here.states() == {DeliveryState.FAILED}
    pacs.start()
    try:
        assert here.deliver() == ""
    finally:
        pacs.stop()
    assert here.states() == COMMITTED


def test_a_pacs_that_is_down_for_an_hour_gets_everything_with_the_shipped_patience(
    database: Database, tmp_path: Path
) -> None:
    """The clock is simulated: the tries are made one after another, their waits are added up."""
    shipped = DeliverySettings()
    patience = Patience(**shipped.model_dump(exclude={"commitment_seconds"}))
    pacs = ProvingPacs(port=free_port())
    here = bench(database, tmp_path, pacs.destination)
    waited_seconds, tries = 0.0, 0
    while waited_seconds < 3600.0:
        assert "cannot be reached" in here.deliver()
        tries += 1
        waited_seconds += patience.wait_seconds(tries)
    assert here.study().state is StudyState.DELIVERING
    assert tries < shipped.maximum_tries
    pacs.start()
    try:
        assert here.deliver() == ""
    finally:
        pacs.stop()
    assert here.states() == COMMITTED
    assert here.study().state is StudyState.DELIVERED


def test_a_study_that_was_cancelled_is_not_asked_about(database: Database, tmp_path: Path) -> None:
    with proving_pacs(reports="later") as pacs:
        here = bench(database, tmp_path, pacs.destination, wait_seconds=0.1)
        here.deliver()
        with database.begin() as session:
            here.steps.abandon(session, here.key, "A test says so.")
        assert here.deliver() == ""
        assert here.study().state is StudyState.FAILED
        assert len(pacs.requests) == 1


def test_a_report_on_a_transaction_that_we_never_began_is_refused(
    database_url: str, tmp_path: Path
) -> None:
    with (
        listening(database_url, tmp_path) as listener,
        proving_pacs(node_port=listener.port) as pacs,
    ):
        pacs.requests = [("2.25.1", [("1.2.840.10008.5.1.4.1.1.4", "1.2.3")])]
        pacs.report()
    assert pacs.answers == [0x0115]
