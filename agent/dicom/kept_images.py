"""Whether this node keeps what a peer asks about: only what survives a loss of power counts."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from agent.dicom import commitment_messages as messages
from agent.dicom.commitment_messages import Reference
from agent.dicom.receipts import Receipts
from storage import holdings
from storage.database import Database
from storage.holdings import Held
from storage.records import SopUid
from storage.store import Store

OTHERS_SECONDS = 1.0  # in which a row of another listener comes, if its database is well


@dataclass(frozen=True, kw_only=True)
class KeptImages:
    """The images of this node, with a row or on their way to one."""

    database: Database
    store: Store
    receipts: Receipts
    looks_twice: bool = False  # where there may be other listeners

    def examine(self, references: Sequence[Reference]) -> dict[SopUid, int]:
        """The failure reason (PS3.3 C.14.1.1) of each object that is not kept here.

        What another listener has just taken may wait for its row, so what is missing is looked for
        twice. Raises StorageError when the database or the
        store does not answer.
        """
        missing = self._missing(references)
        if missing and self.looks_twice:
            time.sleep(OTHERS_SECONDS)
            missing = self._missing([one for one in references if one.sop_uid in missing])
        return missing

    def _missing(self, references: Sequence[Reference]) -> dict[SopUid, int]:
        kept: dict[SopUid, list[Held]] = defaultdict(list)
        for image in self.receipts.waiting():  # before the rows: none is missed on its way
            held = Held(sop_uid=image.sop_uid, sop_class_uid=image.sop_class_uid, path=image.path)
            kept[image.sop_uid].append(held)
        with self.database.read() as session:
            for held in holdings.of_images(session, {one.sop_uid for one in references}):
                kept[held.sop_uid].append(held)
        reasons = {one.sop_uid: self._reason(one, kept[one.sop_uid]) for one in references}
        return {sop_uid: reason for sop_uid, reason in reasons.items() if reason}

    def _reason(self, asked: Reference, kept: Sequence[Held]) -> int:
        """A failure reason, 0 where the object is kept."""
        classes = {held.sop_class_uid for held in kept if self.store.size_of(held.path) > 0}
        if asked.sop_class_uid in classes:
            return messages.SUCCESS
        return messages.CLASS_CONFLICT if classes else messages.NO_SUCH_INSTANCE
