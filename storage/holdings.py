"""What this node holds of the images that were sent to it, for those who ask."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage import rows, tables
from storage.records import SopUid


@dataclass(frozen=True, kw_only=True)
class Held:
    """An image with a row: its class, and its file's path in the store."""

    sop_uid: SopUid
    sop_class_uid: str
    path: str


def of_images(session: Session, sop_uids: Collection[SopUid]) -> list[Held]:
    """Every row of these images, replaced contents included; none for those never received."""
    table = tables.instance
    wanted = rows.columns(table, Held)
    return [
        Held(**row._asdict())
        for chunk in rows.chunks(sorted(set(sop_uids)))
        for row in session.execute(select(*wanted).where(table.c.sop_uid.in_(chunk)))
    ]
