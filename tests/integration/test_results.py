"""Analyses, result objects and deliveries: steps may run twice, and nothing sent is forgotten."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from received import NOW, UID, image
from storage import results, studies
from storage.database import Database
from storage.enums import DeliveryState, Outcome, Role, StudyState
from storage.errors import Conflict, NotFound
from storage.records import Analysis, Delivery, ResultObject, SeriesUid, SopUid, StudyKey, StudyUid
from verdicts import ANALYSIS, lesion

KEY = StudyKey(f"{UID}#1")
LATER = NOW + timedelta(minutes=5)

NOT_ANALYSED = replace(
    ANALYSIS,
    outcome=Outcome.NOT_ANALYSED,
    reason_code="NO_SUITABLE_SERIES",
    reason="No axial FLAIR was found.",
    series_uid=None,
    study_score=None,
    study_p_value=None,
    slice_scores=(),
    slice_p_values=(),
    pattern=None,
    symmetry=None,
    near_ventricle=None,
)


@pytest.fixture
def database(database: Database) -> Database:
    """With one study in it."""
    with database.begin() as session:
        studies.record_instances(session, [image()])
    return database


def result(name: str, role: Role = Role.REPORT, **changes: Any) -> ResultObject:
    made = ResultObject(
        sop_uid=SopUid(f"2.25.1{name}"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        series_uid=SeriesUid("2.25.99"),
        role=role,
        profile="usual",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=f"results/x/1/1/{name}.dcm",
        sha256=name * 64,
        size_bytes=3_000_000_000,
    )
    return replace(made, **changes)


def save(database: Database, *objects: ResultObject, to: tuple[str, ...] = ()) -> None:
    with database.begin() as session:
        results.save_objects(session, KEY, objects)
        results.plan_deliveries(session, KEY, dict.fromkeys(to, "usual"), now=NOW)


def deliver(
    database: Database, name: str, state: DeliveryState = DeliveryState.STORED, to: str = "pacs"
) -> None:
    stored = state is DeliveryState.STORED
    with database.begin() as session:
        results.record_delivery(
            session,
            sop_uid=SopUid(f"2.25.1{name}"),
            destination=to,
            state=state,
            status=0 if stored else None,
            error=None if stored else "connection reset",
            now=LATER,
        )


def current(database: Database) -> list[str]:
    with database.read() as session:
        return [one.sop_uid.removeprefix("2.25.1") for one in results.objects_of(session, KEY)]


def deliveries(database: Database) -> list[tuple[str, str, DeliveryState, int]]:
    with database.read() as session:
        return [
            (one.sop_uid.removeprefix("2.25.1"), one.destination, one.state, one.attempts)
            for one in results.deliveries_of(session, KEY)
        ]


def is_ours(database: Database, name: str) -> bool:
    with database.read() as session:
        return results.is_our_object(session, f"2.25.1{name}")


class TestAnalysis:
    @pytest.mark.parametrize("analysis", [ANALYSIS, NOT_ANALYSED])
    def test_it_comes_back_to_the_last_bit(self, database: Database, analysis: Analysis) -> None:
        lesions = (lesion(1), lesion(2))
        with database.begin() as session:
            results.save_analysis(session, KEY, analysis, lesions[::-1])
        with database.read() as session:
            assert results.analysis_of(session, KEY) == analysis
            assert results.lesions_of(session, KEY) == lesions

    def test_a_slice_without_a_value_stays_without_one(self, database: Database) -> None:
        with database.begin() as session:
            analysis = replace(ANALYSIS, slice_scores=(math.nan, 1.0))
            results.save_analysis(session, KEY, analysis, [])
            kept = results.analysis_of(session, KEY)
        assert kept is not None
        assert math.isnan(kept.slice_scores[0])

    def test_a_repeated_step_replaces_it_and_its_lesions(self, database: Database) -> None:
        with database.begin() as session:
            results.save_analysis(session, KEY, ANALYSIS, [lesion(1), lesion(2)])
        with database.begin() as session:
            results.save_analysis(session, KEY, NOT_ANALYSED, [lesion(1)])
        with database.read() as session:
            assert results.analysis_of(session, KEY) == NOT_ANALYSED
            assert results.lesions_of(session, KEY) == (lesion(1),)

    def test_there_is_none_before_the_model_spoke(self, database: Database) -> None:
        with database.read() as session:
            assert results.analysis_of(session, KEY) is None
            assert results.lesions_of(session, KEY) == ()

    def test_revisions_have_their_own(self, database: Database) -> None:
        second = StudyKey(f"{UID}#2")
        with database.begin() as session:
            studies.complete(session, KEY, evidence="quiet", now=NOW)
            studies.record_instances(session, [image(2)])
            results.save_analysis(session, KEY, ANALYSIS, [lesion(1)])
            results.save_analysis(session, second, NOT_ANALYSED, [])
        with database.read() as session:
            assert results.analysis_of(session, KEY) == ANALYSIS
            assert results.lesions_of(session, KEY) == (lesion(1),)
            assert results.analysis_of(session, second) == NOT_ANALYSED


class TestObjects:
    def test_they_come_back_in_the_order_they_were_saved(self, database: Database) -> None:
        objects = (result("c", Role.SEGMENTATION), result("a"), result("b", Role.HEATMAP))
        save(database, *objects)
        with database.read() as session:
            assert results.objects_of(session, KEY) == objects

    def test_saving_the_same_set_again_changes_nothing(self, database: Database) -> None:
        for _ in range(2):
            save(database, result("a"), result("b"), to=("pacs",))
            deliver(database, "a")
        assert current(database) == ["a", "b"]
        assert deliveries(database) == [
            ("a", "pacs", DeliveryState.STORED, 2),
            ("b", "pacs", DeliveryState.PENDING, 0),
        ]

    def test_an_attempt_that_was_never_sent_is_dropped(self, database: Database) -> None:
        save(database, result("a"), to=("pacs",))
        save(database, result("b"), to=("pacs",))
        assert current(database) == ["b"]
        assert not is_ours(database, "a")
        assert deliveries(database) == [("b", "pacs", DeliveryState.PENDING, 0)]

    @pytest.mark.parametrize("state", [DeliveryState.STORED, DeliveryState.FAILED])
    def test_an_object_whose_delivery_was_tried_stays_ours_and_is_not_sent_again(
        self, database: Database, state: DeliveryState
    ) -> None:
        """A failed attempt may have reached the destination and lost its answer."""
        save(database, result("a"), to=("pacs", "archive"))
        deliver(database, "a", state)
        save(database, result("b"), to=("pacs",))
        assert current(database) == ["b"]
        assert is_ours(database, "a")
        assert deliveries(database) == [("b", "pacs", DeliveryState.PENDING, 0)]

    def test_an_older_object_may_become_current_again(self, database: Database) -> None:
        save(database, result("a"), to=("pacs",))
        deliver(database, "a")
        save(database, result("b"))
        save(database, result("a"), to=("pacs", "archive"))
        assert current(database) == ["a"]
        assert deliveries(database) == [
            ("a", "archive", DeliveryState.PENDING, 0),
            ("a", "pacs", DeliveryState.STORED, 1),
        ]

    def test_bytes_that_never_left_may_be_built_again_under_their_uid(
        self, database: Database
    ) -> None:
        rebuilt = result("a", sha256="f" * 64, path="results/x/1/2/a.dcm", size_bytes=7)
        save(database, result("a"), to=("pacs",))
        save(database, rebuilt)
        with database.read() as session:
            assert results.objects_of(session, KEY) == (rebuilt,)

    def test_bytes_that_may_have_left_never_change_under_their_uid(
        self, database: Database
    ) -> None:
        save(database, result("a"), to=("pacs",))
        deliver(database, "a", DeliveryState.FAILED)
        with pytest.raises(Conflict, match="new UID"):
            save(database, result("a", sha256="f" * 64))
        assert current(database) == ["a"]

    def test_a_uid_belongs_to_one_revision(self, database: Database) -> None:
        save(database, result("a"))
        with database.begin() as session:
            studies.complete(session, KEY, evidence="quiet", now=NOW)
            studies.record_instances(session, [image(2)])
        with pytest.raises(Conflict, match="used once"), database.begin() as session:
            results.save_objects(session, StudyKey(f"{UID}#2"), [result("a")])

    def test_what_we_did_not_make_is_not_ours(self, database: Database) -> None:
        save(database, result("a"))
        assert is_ours(database, "a")
        assert not is_ours(database, "b")


class TestDeliveries:
    def test_each_object_goes_to_each_destination_once(self, database: Database) -> None:
        save(database, result("a"), result("b"), to=("pacs", "archive", "pacs"))
        with database.begin() as session:
            twice = dict.fromkeys(("pacs", "archive"), "usual")
            results.plan_deliveries(session, KEY, twice, now=LATER)
        assert deliveries(database) == [
            (name, destination, DeliveryState.PENDING, 0)
            for destination in ("archive", "pacs")
            for name in ("a", "b")
        ]

    def test_attempts_are_counted_and_the_last_one_is_told(self, database: Database) -> None:
        save(database, result("a"), to=("pacs",))
        deliver(database, "a", DeliveryState.FAILED)
        deliver(database, "a", DeliveryState.STORED)
        with database.read() as session:
            assert results.deliveries_of(session, KEY) == (
                Delivery(
                    sop_uid=SopUid("2.25.1a"),
                    destination="pacs",
                    state=DeliveryState.STORED,
                    attempts=2,
                    status=0,
                    error=None,
                    updated_at=LATER,
                ),
            )

    def test_planning_again_leaves_what_was_delivered(self, database: Database) -> None:
        save(database, result("a"), to=("pacs",))
        deliver(database, "a")
        with database.begin() as session:
            results.plan_deliveries(session, KEY, {"pacs": "usual"}, now=LATER)
        assert deliveries(database) == [("a", "pacs", DeliveryState.STORED, 1)]

    def test_a_delivery_that_nobody_planned_is_refused(self, database: Database) -> None:
        save(database, result("a"), to=("pacs",))
        with pytest.raises(NotFound, match="planned"):
            deliver(database, "a", to="elsewhere")


class TestProfiles:
    def test_a_destination_gets_the_objects_of_its_profile(self, database: Database) -> None:
        save(database, result("a"), result("b", profile="viewer"))
        with database.begin() as session:
            results.plan_deliveries(
                session, KEY, {"pacs": "usual", "archive": "usual", "web": "viewer"}, now=NOW
            )
        assert [(name, to) for name, to, _, _ in deliveries(database)] == [
            ("a", "archive"),
            ("a", "pacs"),
            ("b", "web"),
        ]


class TestReplacement:
    def replaced(
        self, database: Database, *, key: StudyKey = KEY, new: str = "n", to: tuple[str, ...] = ()
    ) -> list[str]:
        with database.read() as session:
            found = results.replaced_by(
                session,
                key,
                report_uid=SopUid(f"2.25.1{new}"),
                profile="usual",
                destinations=to,
            )
        return [one.sop_uid.removeprefix("2.25.1") for one in found]

    def test_the_first_result_replaces_nothing(self, database: Database) -> None:
        assert self.replaced(database) == []
        save(database, result("n"))
        assert self.replaced(database) == []

    def test_it_is_what_the_destination_was_sent_with_the_report_first(
        self, database: Database
    ) -> None:
        save(database, result("s", Role.SEGMENTATION), result("a"), to=("pacs",))
        assert self.replaced(database, to=("pacs",)) == []  # planned, not sent
        deliver(database, "s")
        deliver(database, "a")
        assert self.replaced(database, to=("pacs",)) == ["a", "s"]
        assert self.replaced(database, to=("archive",)) == []

    def test_without_a_destination_it_is_the_newest_of_the_profile(
        self, database: Database
    ) -> None:
        save(database, result("a"), result("b", profile="viewer"))
        assert self.replaced(database) == ["a"]

    def test_a_new_revision_replaces_the_one_before(self, database: Database) -> None:
        save(database, result("a"), to=("pacs",))
        deliver(database, "a")
        with database.begin() as session:
            studies.advance(session, KEY, StudyState.FAILED, now=NOW)
            again = studies.open_again(session, StudyUid(KEY.partition("#")[0]), now=LATER)
        assert self.replaced(database, key=again.key, to=("pacs",)) == ["a"]


@pytest.mark.parametrize("act", [results.save_objects, results.plan_deliveries])
def test_results_of_an_unknown_study_are_refused(database: Database, act: Any) -> None:
    more = {"now": NOW} if act is results.plan_deliveries else {}
    with pytest.raises(NotFound), database.begin() as session:
        act(session, StudyKey("9.9#1"), {}, **more)
