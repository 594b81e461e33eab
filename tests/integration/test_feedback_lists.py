"""Studies by their newest mark."""

from received import NOW, image
from storage import feedback, studies
from storage.database import Database
from storage.enums import Mark
from storage.records import Feedback, StudyUid


def said(database: Database, uid: str, *marks: Mark) -> None:
    with database.begin() as session:
        studies.record_instances(session, [image(study=uid)])
        for mark in marks:
            word = Feedback(
                study_uid=StudyUid(uid), revision=1, mark=mark, note="", by="ada", at=NOW
            )
            feedback.mark(session, word)


def test_studies_are_listed_by_their_newest_mark(database: Database) -> None:
    said(database, "1.1", Mark.LESION, Mark.NORMAL)
    said(database, "1.2", Mark.NORMAL, Mark.MISSED)
    said(database, "1.3")
    with database.read() as session:
        normal = studies.list_studies(session, mark=Mark.NORMAL)
        newest = feedback.newest(session, [StudyUid(f"1.{n}") for n in (1, 2, 3)])
    assert [one.study_uid for one in normal] == ["1.1"]
    assert {uid: one.mark for uid, one in newest.items()} == {
        "1.1": Mark.NORMAL,
        "1.2": Mark.MISSED,
    }
