"""Retention on both databases: what may go, what must stay, and what comes after."""

import hashlib
import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent import audit_trail
from agent.dicom import recovery
from agent.retention import Policy, Retention
from received import image, images
from storage import audit, proofs, results, retention, studies
from storage.database import Database
from storage.enums import DeliveryState, Proof, Role, StudyState
from storage.errors import Conflict
from storage.files import FileStore
from storage.records import Instance, ResultObject, SeriesUid, SopUid, StudyKey
from storage.store import CLAIM_SECONDS, is_left_over

UID = "1.2.3"
KEY = StudyKey(f"{UID}#1")
ENDED = datetime(2026, 1, 1, tzinfo=UTC)
NOW = ENDED + timedelta(days=40)
MONTH = Policy(images_days=30, results_days=30)
WAY = (
    StudyState.COMPLETE,
    StudyState.ANALYSING,
    StudyState.COMPOSED,
    StudyState.DELIVERING,
    StudyState.DELIVERED,
)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "data", reserve_bytes=0)


def receive(database: Database, store: FileStore, *arriving: Instance, aged: bool = True) -> None:
    """Files and rows of images; aged ones came long ago."""
    for one in arriving:
        kept, _ = store.keep_image(one.study_uid, one.content_sha256, [one.sop_uid.encode()])
        assert kept == one.path
        if aged:
            age(store, one)
    with database.begin() as session:
        studies.record_instances(session, arriving)


def age(store: FileStore, *those: Instance) -> None:
    long_ago = time.time() - CLAIM_SECONDS - 60
    for one in those:
        os.utime(store.path_of(one.path), (long_ago, long_ago))


def end(
    database: Database,
    store: FileStore,
    key: StudyKey = KEY,
    *,
    state: StudyState = StudyState.DELIVERED,
    sent: DeliveryState | None = DeliveryState.COMMITTED,
    at: datetime = ENDED,
) -> None:
    """Take a received revision to its end, with one result and how its delivery went."""
    result = _result(store, key)
    with database.begin() as session:
        studies.complete(session, key, evidence="quiet.", now=at)
        for step in (*WAY[1:-1], state):
            studies.advance(session, key, step, now=at)
            if step is StudyState.COMPOSED:
                results.save_objects(session, key, [result])
        if sent is not None:
            results.plan_deliveries(session, key, {"pacs": result.profile}, now=at)
            results.record_delivery(
                session,
                sop_uid=result.sop_uid,
                destination="pacs",
                state=sent,
                status=None,
                error=None,
                now=at,
            )


def _result(store: FileStore, key: StudyKey) -> ResultObject:
    kept = store.keep_result(key, "report.dcm", b"report")
    return ResultObject(
        sop_uid=SopUid(f"2.25.{int(hashlib.sha256(key.encode()).hexdigest()[:20], 16)}"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        series_uid=SeriesUid("2.25.1"),
        role=Role.REPORT,
        profile="plain",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=kept.path,
        sha256=kept.sha256,
        size_bytes=kept.size_bytes,
    )


def run(
    database: Database, store: FileStore, policy: Policy = MONTH, *, dry_run: bool = False
) -> list[tuple[str, str]]:
    done = Retention(database=database, store=store, policy=policy, dry_run=dry_run).run(NOW)
    return [(one.study, one.what.value) for one in done]


def files(store: FileStore) -> list[str]:
    found = (path for path in store.root.rglob("*.dcm") if path.is_file())
    return sorted(path.relative_to(store.root).parts[0] for path in found)


def inputs(database: Database, key: StudyKey) -> set[str]:
    with database.read() as session:
        return {one.sop_uid for one in studies.instances_of(session, key)}


def test_files_of_an_old_delivered_study_go_and_its_rows_stay(
    database: Database, store: FileStore
) -> None:
    receive(database, store, *images(3, study=UID))
    end(database, store)
    assert run(database, store, dry_run=True) == [(KEY, "images"), (KEY, "results")]
    assert files(store) == ["images"] * 3 + ["results"]
    assert run(database, store) == [(KEY, "images"), (KEY, "results")]
    assert list(store.root.rglob("*/*")) == []  # the folders of the study went too
    assert len(inputs(database, KEY)) == 3
    with database.read() as session:
        (result,) = results.objects_of(session, KEY)
        assert results.is_our_object(session, result.sop_uid)
        assert studies.get(session, KEY).state is StudyState.DELIVERED
        events = audit.events(session)
        assert [one.action for one in events] == [audit_trail.STUDY_REMOVED] * 2
        assert [one.detail.partition(":")[0] for one in events] == ["results", "images"]
        assert audit.verify(session) == 2
    assert run(database, store) == []


@pytest.mark.parametrize(
    ("state", "sent"),
    [
        (StudyState.FAILED, DeliveryState.COMMITTED),
        (StudyState.CANCELLED, DeliveryState.COMMITTED),
        (StudyState.DELIVERED, DeliveryState.STORED),
        (StudyState.DELIVERED, DeliveryState.PENDING),
        (StudyState.DELIVERED, DeliveryState.FAILED),
        (StudyState.DELIVERED, None),
    ],
)
def test_what_did_not_arrive_is_never_touched(
    database: Database, store: FileStore, state: StudyState, sent: DeliveryState | None
) -> None:
    receive(database, store, *images(2, study=UID))
    end(database, store, state=state, sent=sent)
    assert run(database, store, replace(MONTH, used_percent=0.0001)) == []
    assert files(store) == ["images"] * 2 + ["results"]


def test_what_was_only_said_to_be_stored_goes_where_the_site_says_so(
    database: Database, store: FileStore
) -> None:
    receive(database, store, *images(2, study=UID))
    end(database, store, sent=DeliveryState.STORED)
    with database.begin() as session:
        (result,) = results.objects_of(session, KEY)
        proofs.hold(session, "pacs", [result.sop_uid], Proof.NONE, now=ENDED)
    assert run(database, store) == []
    assert len(run(database, store, replace(MONTH, without_proof=True))) == 2


def test_a_study_that_is_received_again_or_is_young_stays(
    database: Database, store: FileStore
) -> None:
    receive(database, store, *images(2, study=UID))
    end(database, store, at=NOW - timedelta(days=29))
    receive(database, store, *images(2, study="1.2.4"))
    end(database, store, StudyKey("1.2.4#1"))
    receive(database, store, image(3, study="1.2.4"))
    assert run(database, store) == []


def test_an_image_that_has_just_come_again_keeps_its_file(
    database: Database, store: FileStore
) -> None:
    first, second = images(2, study=UID)
    receive(database, store, first, second)
    end(database, store)
    receive(database, store, first, aged=False)
    assert run(database, store, Policy(images_days=30)) == []
    age(store, first)
    assert run(database, store, Policy(images_days=30)) == [(KEY, "images")]


def test_an_image_that_comes_again_between_the_note_and_the_removal_keeps_its_file(
    database: Database, store: FileStore
) -> None:
    first, second = images(2, study=UID)
    receive(database, store, first, second)
    end(database, store)
    with database.begin() as session:
        assert retention.take_images(session, studies.get(session, KEY), now=NOW)
    receive(database, store, first, aged=False)
    run(database, store)
    assert store.path_of(first.path).exists()
    assert not store.path_of(second.path).exists()
    assert inputs(database, StudyKey(f"{UID}#2")) == {first.sop_uid}
    age(store, first)
    run(database, store)  # it belongs to a study that is received
    assert store.path_of(first.path).exists()


def test_a_removal_that_was_broken_off_is_finished_by_the_next_run(
    database: Database, store: FileStore
) -> None:
    receive(database, store, *images(2, study=UID))
    end(database, store)
    with database.begin() as session:
        assert retention.take_images(session, studies.get(session, KEY), now=datetime.now(UTC))
    assert recovery.rebuild(store, database) == 0  # what is left over is no lost image
    assert run(database, store) == [(KEY, "results")]
    assert files(store) == []


def test_a_late_image_of_a_study_that_is_gone_makes_a_new_beginning(
    database: Database, store: FileStore
) -> None:
    first, second, third = images(3, study=UID)
    receive(database, store, first, second)
    end(database, store)
    run(database, store)
    receive(database, store, third, first, aged=False)
    again = StudyKey(f"{UID}#2")
    assert inputs(database, again) == {first.sop_uid, third.sop_uid}
    assert inputs(database, KEY) == {first.sop_uid, second.sop_uid}
    with database.begin() as session:
        done = studies.complete(session, again, evidence="It was quiet.", now=NOW)
    assert done.instance_count == 2
    assert "had been removed by retention" in (done.completion_evidence or "")


def test_the_row_of_an_image_that_came_again_is_made_after_a_crash(
    database: Database, store: FileStore
) -> None:
    """Its file has an old row, which says that it was removed."""
    first, second = images(2, study=UID)
    receive(database, store, first, second)
    end(database, store)
    with database.begin() as session:
        retention.take_images(session, studies.get(session, KEY), now=datetime.now(UTC))
    run(database, store)
    store.keep_image(first.study_uid, first.content_sha256, [b"again"])
    with database.read() as session:
        assert studies.recorded_paths(session, [first.path]) == frozenset()
        removed = studies.removed_paths(session, [first.path])
    assert not is_left_over(store, first.path, removed[first.path])


def test_a_study_without_images_is_not_read_again(database: Database, store: FileStore) -> None:
    receive(database, store, *images(2, study=UID))
    end(database, store)
    run(database, store)
    with database.begin() as session, pytest.raises(Conflict, match="removed by retention"):
        studies.retry(session, KEY, now=NOW)
    with database.begin() as session, pytest.raises(Conflict, match="send the study again"):
        studies.open_again(session, studies.get(session, KEY).study_uid, now=NOW)


def test_where_room_is_short_the_study_that_ended_first_goes_first(
    database: Database, store: FileStore
) -> None:
    for number in (1, 2, 3):
        uid = f"1.2.{number}"
        receive(database, store, *images(2, study=uid))
        end(database, store, StudyKey(f"{uid}#1"), at=NOW - timedelta(days=number))
    disk = shutil.disk_usage(store.root)
    used_percent = 100 * disk.used / (disk.used + disk.free)
    assert run(database, store, Policy(used_percent=min(used_percent + 1, 99.9))) == []
    everything = run(database, store, Policy(used_percent=0.0001), dry_run=True)
    assert everything[:2] == [("1.2.3#1", "images"), ("1.2.3#1", "results")]
    assert len(everything) == 6


def test_by_default_everything_stays(database: Database, store: FileStore) -> None:
    receive(database, store, *images(2, study=UID))
    end(database, store)
    assert run(database, store, Policy()) == []
