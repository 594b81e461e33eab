"""Studies: intake, revisions, states and how they are found, on both databases."""

import itertools
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

import together
from received import NOW, UID, image, images
from storage import figures, studies
from storage.database import Database, open_database
from storage.enums import TERMINAL_STATES, Priority, StudyState
from storage.errors import Conflict, NotFound
from storage.records import Instance, SeriesDecision, SeriesUid, Study, StudyKey, StudyUid

FIRST, SECOND = StudyKey(f"{UID}#1"), StudyKey(f"{UID}#2")
LATER = NOW + timedelta(minutes=5)
RESULT = SeriesUid("1.2.826.0.1.999")  # of another program
WORK = (
    StudyState.COMPLETE,
    StudyState.ANALYSING,
    StudyState.COMPOSED,
    StudyState.DELIVERING,
    StudyState.DELIVERED,
)


def record(database: Database, *instances: Instance) -> frozenset[StudyKey]:
    with database.begin() as session:
        return studies.record_instances(session, instances)


def complete(database: Database, key: StudyKey = FIRST) -> Study:
    with database.begin() as session:
        return studies.complete(session, key, evidence="quiet for 10 s", now=NOW)


def bring_to(database: Database, state: StudyState, key: StudyKey = FIRST) -> Study:
    """A study in `state`, by the allowed way."""
    record(database, *images(2, study=key.partition("#")[0]))
    way = list(itertools.takewhile(lambda step: step is not state, WORK))
    if state in (StudyState.FAILED, StudyState.CANCELLED):
        way = [StudyState.COMPLETE]
    if state is StudyState.NOT_ANALYSED:
        way = list(WORK[:-1])
    with database.begin() as session:
        if state is not StudyState.RECEIVING:
            studies.complete(session, key, evidence="quiet for 10 s", now=NOW)
            for step in [*way, state]:
                studies.advance(session, key, step, now=NOW)
        return studies.get(session, key)


def get(database: Database, key: StudyKey = FIRST) -> Study:
    with database.read() as session:
        return studies.get(session, key)


def inputs(database: Database, key: StudyKey = FIRST) -> tuple[Instance, ...]:
    with database.read() as session:
        return studies.instances_of(session, key)


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


class TestStates:
    def test_completing_notes_when_and_by_what_evidence(self, database: Database) -> None:
        record(database, image())
        study = complete(database)
        assert study.state is StudyState.COMPLETE
        assert study.completed_at == NOW
        assert study.completion_evidence == "quiet for 10 s"

    def test_an_image_that_came_meanwhile_keeps_a_study_open(self, database: Database) -> None:
        """What was decided was about one image less."""
        record(database, *images(2))
        with database.begin() as session, pytest.raises(Conflict, match="another image"):
            studies.complete(session, FIRST, evidence="quiet", now=NOW, instance_count=1)
        assert get(database).state is StudyState.RECEIVING
        with database.begin() as session:
            studies.complete(session, FIRST, evidence="quiet", now=NOW, instance_count=2)

    def test_a_study_that_lacked_images_stays_known_as_incomplete(self, database: Database) -> None:
        bring_to(database, StudyState.DELIVERED, StudyKey("1.2.3#1"))
        record(database, *images(2))
        with database.begin() as session:
            lacking = "Incomplete: 2 of the 3 images that PACS holds were received."
            studies.complete(session, FIRST, evidence=lacking, now=NOW)
            studies.cancel(session, FIRST, now=NOW, why="a test")
            again = studies.open_again(session, StudyUid(UID), now=NOW)
        assert get(database).is_incomplete
        assert again.is_incomplete
        assert not get(database, StudyKey("1.2.3#1")).is_incomplete
        with database.read() as session:
            assert figures.incomplete(session) == 1  # the newest revision of one study

    def test_a_study_is_completed_once(self, database: Database) -> None:
        record(database, image())
        complete(database)
        with pytest.raises(Conflict, match="COMPLETE"):
            complete(database)

    def test_the_way_of_the_work_ends_with_a_time(self, database: Database) -> None:
        assert bring_to(database, StudyState.DELIVERING).finished_at is None
        with database.begin() as session:
            study = studies.advance(session, FIRST, StudyState.DELIVERED, now=LATER)
        assert (study.state, study.finished_at) == (StudyState.DELIVERED, LATER)

    @pytest.mark.parametrize("state", list(StudyState))
    def test_naming_the_present_state_changes_nothing(
        self, database: Database, state: StudyState
    ) -> None:
        before = bring_to(database, state)
        with database.begin() as session:
            assert studies.advance(session, FIRST, state, now=LATER, error="again") == before

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (StudyState.RECEIVING, StudyState.COMPLETE),
            (StudyState.RECEIVING, StudyState.ANALYSING),
            (StudyState.COMPLETE, StudyState.DELIVERED),
            (StudyState.COMPOSED, StudyState.ANALYSING),
            (StudyState.ANALYSING, StudyState.NOT_ANALYSED),
            *[(end, StudyState.ANALYSING) for end in sorted(TERMINAL_STATES)],
            *[(end, StudyState.COMPLETE) for end in sorted(TERMINAL_STATES)],
        ],
    )
    def test_other_ways_are_refused(
        self, database: Database, before: StudyState, after: StudyState
    ) -> None:
        study = bring_to(database, before)
        with pytest.raises(Conflict, match="cannot become"), database.begin() as session:
            studies.advance(session, FIRST, after, now=LATER)
        assert get(database) == study

    @pytest.mark.parametrize("before", [*WORK[:-1], StudyState.RECEIVING])
    def test_a_study_may_fail_or_be_cancelled_until_it_ended(
        self, database: Database, before: StudyState
    ) -> None:
        bring_to(database, before)
        with database.begin() as session:
            study = studies.cancel(session, FIRST, now=LATER, why="wrong patient")
        assert study.state is StudyState.CANCELLED
        assert (study.finished_at, study.error) == (LATER, "wrong patient")

    def test_a_study_that_ended_is_not_cancelled(self, database: Database) -> None:
        bring_to(database, StudyState.DELIVERED)
        with pytest.raises(Conflict), database.begin() as session:
            studies.cancel(session, FIRST, now=LATER, why="too late")

    @pytest.mark.parametrize("state", [s for s in StudyState if s is not StudyState.RECEIVING])
    def test_a_retry_starts_the_work_anew(self, database: Database, state: StudyState) -> None:
        before = bring_to(database, state)
        with database.begin() as session:
            again = studies.retry(session, FIRST, now=LATER)
        expected = replace(
            before, state=StudyState.COMPLETE, attempt=2, finished_at=None, error=None
        )
        assert again == expected

    def test_a_study_cancelled_while_receiving_is_completed_by_its_retry(
        self, database: Database
    ) -> None:
        record(database, image())
        with database.begin() as session:
            studies.cancel(session, FIRST, now=NOW, why="mistake")
            study = studies.retry(session, FIRST, now=LATER)
        assert study.completed_at == LATER
        assert study.completion_evidence == "completed by a retry"

    def test_a_receiving_study_has_no_work_to_retry(self, database: Database) -> None:
        record(database, image())
        with pytest.raises(Conflict, match="receiving"), database.begin() as session:
            studies.retry(session, FIRST, now=NOW)

    @pytest.mark.parametrize("key", ["1.2.3#1", "1.2.3", "#1", "1.2#x", "1.2#²", "1.2#99999999999"])
    def test_an_unknown_study_is_not_found(self, database: Database, key: str) -> None:
        unknown = StudyKey(key)
        for act in (
            lambda session: studies.get(session, unknown),
            lambda session: studies.complete(session, unknown, evidence="", now=NOW),
            lambda session: studies.advance(session, unknown, StudyState.FAILED, now=NOW),
            lambda session: studies.retry(session, unknown, now=NOW),
            lambda session: studies.instances_of(session, unknown),
            lambda session: studies.save_series_decisions(session, unknown, []),
        ):
            with pytest.raises(NotFound), database.begin() as session:
                act(session)


def from_the_newest(database: Database) -> list[Study]:
    """All studies, two at a time."""
    with database.read() as session:
        found = page = studies.list_studies(session, limit=2)
        while page:
            page = studies.list_studies(session, limit=2, older_than=found[-1])
            found = found + page
    return found


def from_the_oldest(database: Database) -> list[Study]:
    """All studies, two at a time, the newest first nevertheless."""
    with database.read() as session:
        found = page = studies.list_studies(session)[-1:]
        while page:
            page = studies.list_studies(session, limit=2, newer_than=found[0])
            found = page + found
    return found


class TestFinding:
    @pytest.fixture
    def known(self, database: Database) -> Database:
        record(database, image(study="1.2.30.7"), image(study="1.2.30.8"), image(study="1.2.30"))
        complete(database, StudyKey("1.2.30.8#1"))
        record(database, image(2, study="1.2.30.8"))
        return database

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("1.2.30.7", "1.2.30.7#1"),
            ("1.2.30", "1.2.30#1"),  # a whole UID, though others begin with it
            ("1.2.30.8", "1.2.30.8#2"),
            ("1.2.30.8#1", "1.2.30.8#1"),
            ("0.7", "1.2.30.7#1"),
            (" .8 ", "1.2.30.8#2"),
            (".8#1", "1.2.30.8#1"),
        ],
    )
    def test_a_study_is_found_by_what_names_one(self, known: Database, text: str, key: str) -> None:
        with known.read() as session:
            assert studies.find(session, text).key == key

    @pytest.mark.parametrize(
        "text", ["", "#1", "%", "_", "9.9", "1.2.30.8#3", "1.2.30.8#", "2.30."]
    )
    def test_what_names_none_is_not_found(self, known: Database, text: str) -> None:
        with pytest.raises(NotFound), known.read() as session:
            studies.find(session, text)

    def test_what_names_several_asks_for_more(self, known: Database) -> None:
        with pytest.raises(Conflict, match="More than one"), known.read() as session:
            studies.find(session, "1.2")

    def test_the_newest_come_first_a_page_at_a_time(self, database: Database) -> None:
        for number in range(5):
            record(database, image(number, study=f"1.2.{number}"))
        found = [study.study_uid for study in from_the_newest(database)]
        assert found == ["1.2.4", "1.2.3", "1.2.2", "1.2.1", "1.2.0"]

    def test_no_study_is_left_out_where_many_came_at_one_moment(self, database: Database) -> None:
        for number in range(5):
            record(database, image(1, study=f"1.2.{number}"))
        found = from_the_newest(database)
        assert sorted(study.study_uid for study in found) == [f"1.2.{n}" for n in range(5)]
        assert from_the_oldest(database) == found

    def test_a_page_holds_studies_of_the_wanted_state(self, database: Database) -> None:
        for number in range(4):
            record(database, image(number, study=f"1.2.{number}"))
        with database.begin() as session:
            for uid in ("1.2.1", "1.2.3"):
                studies.cancel(session, StudyKey(f"{uid}#1"), now=NOW, why="test")
        with database.read() as session:
            newest = studies.get(session, StudyKey("1.2.3#1"))
            found = studies.list_studies(session, states={StudyState.CANCELLED}, older_than=newest)
        assert [one.study_uid for one in found] == ["1.2.1"]

    def test_studies_are_listed_by_state(self, database: Database) -> None:
        by_state = {state: StudyKey(f"1.2.{n}#1") for n, state in enumerate(StudyState)}
        for state, key in by_state.items():
            bring_to(database, state, key)
        with database.read() as session:
            failed = studies.list_studies(session, states={StudyState.FAILED})
            receiving = studies.receiving(session)
            unfinished = studies.unfinished(session)
            assert studies.list_studies(session, states=[]) == []
        assert [study.key for study in failed] == [by_state[StudyState.FAILED]]
        assert [study.key for study in receiving] == [by_state[StudyState.RECEIVING]]
        assert {study.key for study in unfinished} == {by_state[state] for state in WORK[:-1]}

    def test_urgent_work_is_named_first(self, database: Database) -> None:
        record(database, image(study="1.2.1"), image(study="1.2.2", priority=Priority.STAT))
        for uid in ("1.2.1", "1.2.2"):
            complete(database, StudyKey(f"{uid}#1"))
        with database.read() as session:
            assert [study.study_uid for study in studies.unfinished(session)] == ["1.2.2", "1.2.1"]


def decision(number: int, *, chosen: bool = False) -> SeriesDecision:
    return SeriesDecision(
        series_uid=SeriesUid(f"{UID}.{number}"),
        number=number,
        modality="MR\0",
        instance_count=24,
        chosen=chosen,
        reason="inversion time 2500 ms" if chosen else "a localizer",
    )


def test_series_decisions_come_back_in_their_order_and_replace_older_ones(
    database: Database,
) -> None:
    record(database, image())
    with database.begin() as session:
        assert studies.series_decisions(session, FIRST) == ()
        studies.save_series_decisions(session, FIRST, [decision(1), decision(2), decision(3)])
        studies.save_series_decisions(session, FIRST, [decision(9, chosen=True), decision(1)])
    with database.read() as session:
        kept = studies.series_decisions(session, FIRST)
    assert [(one.series_uid, one.chosen) for one in kept] == [
        (f"{UID}.9", True),
        (f"{UID}.1", False),
    ]
    assert kept[0] == replace(decision(9, chosen=True), modality="MR")
