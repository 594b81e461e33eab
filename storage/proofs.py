"""What destinations say of the objects they were sent: do they hold them?

Listener and worker may be different processes. They meet here, by the Transaction UID of a storage
commitment (PS3.4 J.3). An answer counts for what is still STORED and was asked for in that
transaction, so that it may come twice, or late, without harm.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.orm import Session

from storage import rows, tables
from storage.enums import DeliveryState, Proof
from storage.errors import NotFound
from storage.records import Commitment, SopUid, StudyKey


def ask(
    session: Session,
    transaction_uid: str,
    destination: str,
    sop_uids: Collection[SopUid],
    *,
    now: datetime,
) -> None:
    """Note for which objects a commitment is about to be asked, before the request leaves."""
    row = {"transaction_uid": transaction_uid, "destination": destination, "asked_at": now}
    session.execute(insert(tables.commitment), row)
    _change(session, destination, sop_uids, transaction_uid=transaction_uid)


def accept(session: Session, transaction_uid: str, *, now: datetime) -> None:
    """Note that the peer took the request, so that its answer is worth waiting for."""
    table = tables.commitment
    named = table.c.transaction_uid == transaction_uid
    session.execute(update(table).where(named).values(accepted_at=now))


def transactions(session: Session, uids: Collection[str]) -> list[Commitment]:
    """The requests with these Transaction UIDs, the oldest first."""
    table = tables.commitment
    statement = select(table).where(table.c.transaction_uid.in_(uids)).order_by(table.c.asked_at)
    return [Commitment(**row._asdict()) for row in session.execute(statement)]


def answer(
    session: Session,
    transaction_uid: str,
    *,
    committed: Collection[SopUid],
    failed: Mapping[SopUid, int],
    now: datetime,
) -> frozenset[StudyKey]:
    """Take the peer's answer, with the reason of each failure; return the studies it speaks of.

    An object that failed is put back, to be sent again; one that the answer leaves out is asked
    for anew. Raises NotFound for a transaction that this node never began.
    """
    table = tables.commitment
    asked = update(table).where(table.c.transaction_uid == transaction_uid)
    if not session.execute(asked.values(answered_at=now)).rowcount:  # type: ignore[attr-defined]
        raise NotFound(f"No commitment was asked for as transaction {transaction_uid}.")
    destination = session.scalar(
        select(table.c.destination).where(table.c.transaction_uid == transaction_uid)
    )
    assert destination is not None
    delivery = tables.delivery
    of_it = delivery.c.transaction_uid == transaction_uid
    keys = _studies(session, of_it)
    hold(session, destination, committed, Proof.COMMITMENT, of_it, now=now)
    for sop_uid, reason in failed.items():
        error = f"The peer does not vouch for it: failure reason 0x{reason:04X}."
        put_back(session, destination, [sop_uid], of_it, status=reason, error=error, now=now)
    left_out = update(delivery).where(of_it, delivery.c.state == DeliveryState.STORED)
    session.execute(left_out.values(transaction_uid=None))
    return keys


def forget(session: Session, *, before: datetime, limit: int) -> int:
    """Drop requests that are older and of which nothing is expected; how many there were.

    That is so where every study they speak of had ended by then, or where all that they asked for
    was asked for again since.
    """
    table, study = tables.commitment, tables.study
    objects, delivery = tables.result_object, tables.delivery
    of_study = (study.c.study_uid == objects.c.study_uid) & (study.c.revision == objects.c.revision)
    may_matter = (
        select(delivery.c.sop_uid)
        .join(objects, objects.c.sop_uid == delivery.c.sop_uid)
        .join(study, of_study)
        .where(delivery.c.transaction_uid == table.c.transaction_uid)
        .where(study.c.finished_at.is_(None) | (study.c.finished_at >= before))
        .exists()
    )
    over = select(table.c.transaction_uid).where(table.c.asked_at < before, ~may_matter)
    uids = session.scalars(over.order_by(table.c.asked_at).limit(limit)).all()
    for chunk in rows.chunks(uids):
        session.execute(delete(table).where(table.c.transaction_uid.in_(chunk)))
    return len(uids)


def hold(
    session: Session,
    destination: str,
    sop_uids: Collection[SopUid],
    proof: Proof,
    *conditions: ColumnElement[bool],
    now: datetime,
) -> None:
    """Note that the destination holds the objects; with no proof to be had they stay STORED."""
    state = DeliveryState.STORED if proof is Proof.NONE else DeliveryState.COMMITTED
    values = {"state": state, "proof": proof, "error": None, "updated_at": now}
    _change(session, destination, sop_uids, *conditions, **values)


def put_back(
    session: Session,
    destination: str,
    sop_uids: Collection[SopUid],
    *conditions: ColumnElement[bool],
    status: int | None,
    error: str,
    now: datetime,
) -> None:
    """Note that the destination does not hold the objects, so that they are sent again."""
    values = {"state": DeliveryState.FAILED, "status": status, "error": error, "updated_at": now}
    _change(session, destination, sop_uids, *conditions, **values)


def _change(
    session: Session,
    destination: str,
    sop_uids: Collection[SopUid],
    *conditions: ColumnElement[bool],
    **values: Any,
) -> None:
    """Change those of the deliveries that are STORED and no more."""
    table = tables.delivery
    open_here = (table.c.destination == destination, table.c.state == DeliveryState.STORED)
    for chunk in rows.chunks(sorted(sop_uids)):
        these = update(table).where(*open_here, table.c.sop_uid.in_(chunk), *conditions)
        session.execute(these.values(values))


def _studies(session: Session, condition: ColumnElement[bool]) -> frozenset[StudyKey]:
    objects, delivery = tables.result_object, tables.delivery
    statement = (
        select(objects.c.study_uid, objects.c.revision)
        .join(delivery, delivery.c.sop_uid == objects.c.sop_uid)
        .where(condition)
        .distinct()
    )
    found = session.execute(statement)
    return frozenset(StudyKey(f"{row.study_uid}#{row.revision}") for row in found)
