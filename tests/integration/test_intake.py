"""Images become studies and their revisions, on both databases."""

import threading
from datetime import timedelta

import pytest

import together
from kept_studies import FIRST, LATER, RESULT, SECOND, bring_to, complete, get, inputs, record
from received import NOW, UID, image, images
from storage import studies
from storage.database import Database, open_database
from storage.enums import Priority, StudyState
from storage.errors import Conflict, NotFound
from storage.records import Instance, SeriesUid, Study, StudyKey, StudyUid


def record_one_by_one(url: str, instances: list[Instance]) -> None:
    database = open_database(url)
    for instance in instances:
        record(database, instance)
    database.close()


class TestReceiving:
    def test_a_first_image_opens_revision_one(self, database: Database) -> None:
        assert record(database, *images(3)) == {FIRST}
        study = get(database)
        assert study == Study(
            study_uid=UID,
            revision=1,
            state=StudyState.RECEIVING,
            priority=Priority.ROUTINE,
            attempt=1,
            source_ae="MODALITY",
            instance_count=3,
            first_received_at=NOW + timedelta(seconds=1),
            last_received_at=NOW + timedelta(seconds=3),
            completed_at=None,
            completion_evidence=None,
            finished_at=None,
            error=None,
        )
        assert study.key == FIRST

    def test_images_come_back_as_they_were_recorded_in_the_order_of_their_uids(
        self, database: Database
    ) -> None:
        sent = [image(number) for number in (10, 2, 1)]
        record(database, *sent)
        assert inputs(database) == tuple(sorted(sent, key=lambda one: one.sop_uid))

    def test_one_batch_may_hold_several_studies(self, database: Database) -> None:
        keys = record(database, *images(2, study="1.2.2"), *images(2, study="1.2.1"))
        assert keys == {"1.2.1#1", "1.2.2#1"}

    def test_an_empty_batch_is_nothing(self, database: Database) -> None:
        assert record(database) == frozenset()

    def test_a_batch_larger_than_one_statement_is_recorded_whole(self, database: Database) -> None:
        batch = images(1203)
        record(database, *batch)
        record(database, *batch)
        assert get(database).instance_count == 1203
        with database.read() as session:
            paths = [one.path for one in batch]
            assert studies.recorded_paths(session, [*paths, "images/x.dcm"]) == set(paths)

    def test_an_equal_duplicate_is_stored_once_and_counts_as_a_sign_of_life(
        self, database: Database
    ) -> None:
        record(database, image())
        assert record(database, image(received_at=LATER)) == {FIRST}
        assert inputs(database) == (image(),)
        assert get(database).instance_count == 1
        assert get(database).last_received_at == LATER

    def test_a_batch_that_arrives_late_never_turns_the_clock_back(self, database: Database) -> None:
        record(database, image(1, received_at=LATER))
        record(database, image(2))
        assert get(database).last_received_at == LATER
        assert get(database).first_received_at == image(2).received_at

    def test_what_arrived_is_counted_by_series(self, database: Database) -> None:
        """Images that come again are neither counted nor the newest; replaced ones neither."""
        other = SeriesUid("1.2.99")
        record(database, image(1), image(2, received_at=LATER), image(3, series_uid=other))
        record(database, image(1, received_at=LATER + timedelta(hours=1)))
        record(database, image(3, series_uid=other, content="changed"))
        with database.read() as session:
            found = {one.series_uid: one for one in studies.arrived(session, FIRST)}
        assert {uid: one.instance_count for uid, one in found.items()} == {
            image().series_uid: 2,
            other: 1,
        }
        assert found[image().series_uid].newest_at == LATER
        assert found[other].newest_at == image(3).received_at

    def test_a_changed_duplicate_takes_the_place_of_the_older_one(self, database: Database) -> None:
        record(database, *images(2))
        assert record(database, image(1, content="new")) == {FIRST}
        assert inputs(database) == (image(1, content="new"), image(2))
        assert get(database).instance_count == 2

    def test_of_two_contents_in_one_batch_the_later_holds_and_both_files_are_known(
        self, database: Database
    ) -> None:
        old, new = image(), image(content="new")
        record(database, old, new, image(2), image(2))
        assert inputs(database) == (new, image(2))
        with database.read() as session:
            assert studies.recorded_paths(session, [old.path]) == {old.path}

    def test_an_image_may_change_back(self, database: Database) -> None:
        for content in ("", "new", ""):
            record(database, image(content=content))
        assert inputs(database) == (image(),)

    def test_one_urgent_image_makes_the_study_urgent_for_good(self, database: Database) -> None:
        record(database, image(1))
        record(database, image(2, priority=Priority.STAT))
        record(database, image(3))
        assert get(database).priority is Priority.STAT

    def test_text_from_a_peer_that_no_database_takes_is_made_harmless(
        self, database: Database
    ) -> None:
        record(database, image(source_ae="A\0B\udc80"))
        assert get(database).source_ae == "AB?"


class TestRevisions:
    @pytest.mark.parametrize("state", [s for s in StudyState if s is not StudyState.RECEIVING])
    def test_a_new_image_past_receiving_opens_the_next_revision(
        self, database: Database, state: StudyState
    ) -> None:
        before = bring_to(database, state)
        assert record(database, image(3)) == {SECOND}
        assert get(database) == before
        assert inputs(database) == (image(1), image(2))
        assert inputs(database, SECOND) == (image(1), image(2), image(3))
        assert get(database, SECOND).instance_count == 3
        assert get(database, SECOND).state is StudyState.RECEIVING
        assert get(database, SECOND).attempt == 1

    def test_a_changed_image_past_receiving_leaves_the_older_inputs_as_they_were(
        self, database: Database
    ) -> None:
        record(database, *images(2))
        complete(database)
        record(database, image(1, content="new"))
        assert inputs(database) == (image(1), image(2))
        assert inputs(database, SECOND) == (image(1, content="new"), image(2))
        assert get(database, SECOND).instance_count == 2

    def test_a_third_revision_changes_neither_of_the_two_before(self, database: Database) -> None:
        record(database, image(1))
        complete(database)
        record(database, image(1, content="b"), image(2))
        complete(database, SECOND)
        record(database, image(1, content="c"))
        assert inputs(database) == (image(1),)
        assert inputs(database, SECOND) == (image(1, content="b"), image(2))
        assert inputs(database, StudyKey(f"{UID}#3")) == (image(1, content="c"), image(2))

    @pytest.mark.parametrize("state", [s for s in StudyState if s is not StudyState.RECEIVING])
    def test_an_equal_duplicate_past_receiving_changes_nothing(
        self, database: Database, state: StudyState
    ) -> None:
        before = bring_to(database, state)
        assert record(database, image(1, received_at=LATER, priority=Priority.STAT)) == frozenset()
        assert get(database) == before
        with pytest.raises(NotFound):
            get(database, SECOND)

    def test_the_next_revision_is_as_urgent_as_the_one_before(self, database: Database) -> None:
        record(database, image(1, priority=Priority.STAT))
        complete(database)
        record(database, image(2))
        assert get(database, SECOND).priority is Priority.STAT

    def test_recording_a_batch_twice_changes_nothing(self, database: Database) -> None:
        record(database, image(1))
        complete(database)
        batch = [image(1, content="new"), image(2)]
        record(database, *batch)
        before = inputs(database, SECOND), get(database, SECOND)
        record(database, *batch)
        assert (inputs(database, SECOND), get(database, SECOND)) == before


class TestReadingAgain:
    def test_a_new_revision_holds_the_same_images_and_is_complete(self, database: Database) -> None:
        bring_to(database, StudyState.DELIVERED)
        with database.begin() as session:
            again = studies.open_again(session, UID, now=LATER, model_folder="/models/mine")
        assert (again.key, again.state) == (SECOND, StudyState.COMPLETE)
        assert again.model_folder == "/models/mine"
        assert again.completion_evidence is not None
        assert "revision 1" in again.completion_evidence
        with database.read() as session:
            assert studies.get(session, SECOND) == again
            first, second = (studies.instances_of(session, key) for key in (FIRST, SECOND))
        assert first == second

    @pytest.mark.parametrize(
        "state", [StudyState.RECEIVING, StudyState.COMPLETE, StudyState.DELIVERING]
    )
    def test_a_study_that_is_not_at_its_end_is_left_alone(
        self, database: Database, state: StudyState
    ) -> None:
        bring_to(database, state)
        with pytest.raises(Conflict, match="wait until it has ended"), database.begin() as session:
            studies.open_again(session, UID, now=LATER)

    def test_late_images_are_read_by_the_configured_model(self, database: Database) -> None:
        bring_to(database, StudyState.DELIVERED)
        with database.begin() as session:
            again = studies.open_again(session, UID, now=LATER, model_folder="/models/mine")
            studies.cancel(session, again.key, now=LATER, why="test")
        record(database, image(3))
        with database.read() as session:
            assert studies.latest(session, UID).model_folder is None

    def test_an_unknown_study_is_not_opened(self, database: Database) -> None:
        with pytest.raises(NotFound), database.begin() as session:
            studies.open_again(session, StudyUid("9.9"), now=LATER)


class TestComputedImages:
    def test_late_ones_open_no_revision(self, database: Database) -> None:
        """Else two programs that answer each other's results would never end."""
        bring_to(database, StudyState.DELIVERED)
        late = image(9, computed=True, series_uid=RESULT, received_at=NOW + timedelta(hours=1))
        assert record(database, late) == frozenset()
        with database.read() as session:
            assert studies.latest(session, UID).revision == 1
            assert studies.recorded_paths(session, [late.path]) == {late.path}

    def test_with_an_acquired_image_they_belong_to_the_next_revision(
        self, database: Database
    ) -> None:
        bring_to(database, StudyState.DELIVERED)
        late = image(9, computed=True, series_uid=RESULT)
        assert record(database, image(8), late) == {SECOND}
        with database.read() as session:
            assert len(studies.instances_of(session, SECOND)) == 4

    def test_while_the_study_receives_they_count_like_others(self, database: Database) -> None:
        record(database, image(1), image(9, computed=True))
        with database.read() as session:
            assert studies.latest(session, UID).instance_count == 2

    def test_more_of_a_series_that_was_read_opens_a_revision(self, database: Database) -> None:
        """A scanner's reformat may bear a name that we do not know."""
        record(database, image(1, computed=True, received_at=NOW))
        complete(database)
        assert record(database, image(2, computed=True)) == {SECOND}

    def test_the_same_again_changes_nothing(self, database: Database) -> None:
        bring_to(database, StudyState.DELIVERED)
        late = image(9, computed=True, series_uid=RESULT)
        assert record(database, late) == record(database, late) == frozenset()

    def test_a_late_series_that_comes_in_pieces_opens_none_either(self, database: Database) -> None:
        bring_to(database, StudyState.DELIVERED)
        hour = timedelta(hours=1)
        for number in (8, 9):
            late = image(number, computed=True, series_uid=RESULT, received_at=NOW + hour)
            assert record(database, late) == frozenset()


class TestSeveralListeners:
    def test_overlapping_batches_are_counted_once(
        self, database: Database, database_url: str
    ) -> None:
        """Three threads and a process send the same images of two studies in other orders."""
        batch = images(8) + images(8, study="1.2.9")
        orders = (batch, batch[::-1], batch[5:] + batch[:5])
        together.run(
            threads=[(record_one_by_one, (database_url, order)) for order in orders],
            processes=[(record_one_by_one, (database_url, batch))],
        )
        assert inputs(database) == tuple(sorted(images(8), key=lambda one: one.sop_uid))
        assert get(database).instance_count == 8
        assert get(database, StudyKey("1.2.9#1")).instance_count == 8

    def test_two_late_images_at_once_open_one_revision(
        self, database: Database, database_url: str
    ) -> None:
        for round_number in range(5):
            uid = f"1.2.{round_number}"
            record(database, image(1, study=uid))
            complete(database, StudyKey(f"{uid}#1"))
            late = [image(number, study=uid) for number in (2, 3, 4)]
            together.run(threads=[(record_one_by_one, (database_url, [one])) for one in late])
            with database.read() as session:
                newest = studies.latest(session, image(study=uid).study_uid)
            assert (newest.revision, newest.instance_count) == (2, 4)

    def test_an_image_never_joins_a_revision_that_was_completed_meanwhile(
        self, database: Database
    ) -> None:
        """The listener waits for the transaction that completes the study, then sees its end."""
        record(database, image(1))
        late = threading.Thread(target=record, args=(database, image(2)))
        with database.begin() as session:
            studies.complete(session, FIRST, evidence="quiet", now=NOW)
            late.start()
            late.join(timeout=1.0)
            assert late.is_alive()
        late.join()
        assert inputs(database) == (image(1),)
        assert inputs(database, SECOND) == (image(1), image(2))
