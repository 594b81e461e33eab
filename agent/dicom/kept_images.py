"""Whether this node keeps what a peer asks about: only what survives a loss of power counts."""

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


@dataclass(frozen=True, kw_only=True)
class KeptImages:
    """The images of this node, with a row or on their way to one."""

    database: Database
    store: Store
    receipts: Receipts

    def examine(self, references: Sequence[Reference]) -> dict[SopUid, int]:
        """The failure reason (PS3.3 C.14.1.1) of each object that is not kept here.

        Raises StorageError when the database or the store does not answer.
        """
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
