"""Completion over real associations: sources that agree, lack, grow, refuse or are away."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

import builders
import received
from agent import completion
from agent.inquiries import ERRANDS_OF_A_SOURCE
from completing import PAUSES, Alone, Times, completing, send, source_at
from orthanc import free_port
from reception import ReceivingNode, receiving_node
from running import wait_until
from sources import OddSource, one_association_each, running_source
from storage import studies
from storage.database import Database
from storage.enums import StudyState
from storage.records import Study

LONG = 60.0  # seconds that no test waits
NEVER = Times(quiet_seconds=LONG, wait_seconds=LONG)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ReceivingNode]:
    with receiving_node(tmp_path) as running:
        yield running


@pytest.fixture
def source(node: ReceivingNode) -> Iterator[OddSource]:
    with running_source(OddSource(node_port=node.listener.port, sends_as="ARCHIVE")) as running:
        yield running


def images(
    slices: int = 8, *, series: str = "flair", description: str = "AX FLAIR"
) -> list[Dataset]:
    return builders.flair_series(
        slices=slices,
        rows=16,
        columns=16,
        spacing_mm=(6.0, 3.5, 3.5),
        study="completion",
        series=series,
        description=description,
    )


def test_a_study_is_complete_at_once_when_the_source_agrees(
    node: ReceivingNode, source: OddSource
) -> None:
    source.held = images()
    with completing(node, [source_at(source, may_move=False)], **NEVER) as done:
        send(source.held, node)
        study = done.wait()
    assert study.completion_evidence == (
        "PACS holds 8 images in 1 series of this study; all were received."
    )
    assert source.asked == {"SERIES": 1}


def test_images_without_counts_are_listed(node: ReceivingNode, source: OddSource) -> None:
    source.held, source.says_counts = images(), False
    with completing(node, [source_at(source, may_move=False)], **NEVER) as done:
        send(source.held, node)
        study = done.wait()
    assert not study.is_incomplete
    assert source.asked == {"SERIES": 1, "IMAGE": 1}


def test_what_is_not_taken_here_is_not_waited_for(node: ReceivingNode, source: OddSource) -> None:
    """Another modality, and an object of another class in an MR series."""
    other, scan, screenshot = images(2, series="other"), images(), images(1, series="shot")[0]
    for one in other:
        one.Modality = "CT"
    screenshot.SOPClassUID = SecondaryCaptureImageStorage
    source.held = [*other, *scan, screenshot]
    with completing(node, [source_at(source, may_move=False)], **NEVER) as done:
        send(scan, node)
        study = done.wait()
    assert study.completion_evidence == (
        "PACS holds 8 images in 1 series of this study; all were received."
    )


def test_what_is_missing_is_waited_for_then_said(node: ReceivingNode, source: OddSource) -> None:
    source.held = images()
    began = time.monotonic()
    with completing(
        node, [source_at(source, may_move=False)], quiet_seconds=0.5, wait_seconds=3.0
    ) as done:
        send(source.held[:6], node)
        study = done.wait()
    assert time.monotonic() - began >= 3.0
    assert study.is_incomplete
    assert "6 of the 8 images that PACS holds were received (2 of 8 missing of series" in str(
        study.completion_evidence
    )
    assert source.asked["IMAGE"] == 1  # listed once, though asked again and again
    assert 2 <= source.asked["SERIES"] <= 6
    assert source.moves == []


def test_what_is_missing_is_fetched(node: ReceivingNode, source: OddSource) -> None:
    """From whichever AE title it comes: the images join the study."""
    source.held = [*images(), *images(4, series="other")]
    with completing(
        node, [source_at(source, may_move=True)], quiet_seconds=0.5, wait_seconds=LONG
    ) as done:
        send(source.held[:5], node)
        study = done.wait()
    assert study.instance_count == 12
    assert not study.is_incomplete
    assert {title for _, title in source.moves} == {"NODE"}
    assert len(source.moves) == 2
    assert study.revision == 1


def test_a_refused_fetch_is_tried_a_few_times(node: ReceivingNode, source: OddSource) -> None:
    source.held, source.move_status = images(), 0xA801
    with completing(
        node, [source_at(source, may_move=True)], quiet_seconds=0.3, wait_seconds=4.0
    ) as done:
        send(source.held[:6], node)
        study = done.wait()
    assert study.is_incomplete
    assert len(source.moves) == 2


def test_a_source_that_is_down_leaves_it_to_the_quiet_time(node: ReceivingNode) -> None:
    away = OddSource(port=free_port())
    with completing(
        node, [source_at(away, may_move=True)], quiet_seconds=1.0, wait_seconds=LONG
    ) as done:
        send(images(), node)
        study = done.wait()
    assert study.completion_evidence == (
        "PACS could not be asked how many images there are. No association with images of this "
        "study was open and no image came for 1 s; 8 images were received."
    )


@pytest.mark.parametrize("status", [0xA700, 0xC001])
def test_a_source_that_refuses_leaves_it_to_the_quiet_time(
    node: ReceivingNode, source: OddSource, status: int
) -> None:
    source.held, source.find_status = images(), status
    with completing(node, [source_at(source, may_move=True)], wait_seconds=LONG) as done:
        send(source.held, node)
        study = done.wait()
    assert "could not be asked" in str(study.completion_evidence)


def test_a_source_that_grows_is_asked_until_it_says_the_same_twice(
    node: ReceivingNode, source: OddSource
) -> None:
    """An archive that is still receiving agrees with every part of a study."""
    whole = images(12)
    with completing(node, [source_at(source, may_move=False)], **NEVER) as done:
        source.held = whole[:6]
        send(whole[:4], node)
        time.sleep(0.5)
        source.held = whole
        send(whole[4:], node)
        study = done.wait()
    assert study.instance_count == 12
    assert source.asked["SERIES"] >= 3


def test_an_answer_from_before_the_last_image_is_worth_nothing(
    node: ReceivingNode, source: OddSource
) -> None:
    whole = images(12)
    with completing(node, [source_at(source, may_move=False)], **NEVER) as done:
        source.held = whole[:6]
        send(whole[:4], node)
        time.sleep(0.5)
        source.held = whole
        send(whole[4:6], node)  # as many as it held before
        time.sleep(1.5)
        assert done.studies == []
        send(whole[6:], node)
        assert done.wait().instance_count == 12


def test_a_slow_source_holds_up_no_other_study(node: ReceivingNode, source: OddSource) -> None:
    source.held, source.delay_seconds = images(), 4.0
    other = builders.flair_series(slices=6, rows=16, columns=16, study="of somebody else")
    with completing(
        node, [source_at(source, may_move=False)], quiet_seconds=0.3, wait_seconds=LONG
    ) as done:
        send(source.held, node)
        send(other, node, title="MODALITY")
        began = time.monotonic()
        study = done.wait()
        assert time.monotonic() - began < 3.0
        assert study.study_uid == other[0].StudyInstanceUID
        done.wait(2)


def test_a_missing_slice_is_waited_for_and_completes_the_study(node: ReceivingNode) -> None:
    whole = images()
    with completing(node, quiet_seconds=0.3, wait_seconds=LONG) as done:
        send(whole[:3] + whole[4:], node)
        time.sleep(1.5)
        assert done.studies == []
        send(whole[3:4], node)
        study = done.wait()
    assert not study.is_incomplete
    assert (study.instance_count, study.revision) == (8, 1)


def test_a_slice_that_never_comes_is_named(node: ReceivingNode) -> None:
    whole = images()
    with completing(node, quiet_seconds=0.3, wait_seconds=1.5) as done:
        send(whole[:3] + whole[5:], node)
        study = done.wait()
    assert str(study.completion_evidence).startswith(
        f"Incomplete: series 4 ({whole[0].SeriesInstanceUID}): 2 slices are missing between image "
        "3 and image 6. "
    )


def test_an_expected_series_is_waited_for_then_named(
    node: ReceivingNode, source: OddSource
) -> None:
    """Even where the source agrees: it may not have it yet."""
    source.held = images(description="Doe^Jane AX T1")
    with completing(
        node,
        [source_at(source, may_move=False)],
        quiet_seconds=0.3,
        wait_seconds=1.5,
        expected=["flair", "t1"],
    ) as done:
        send(source.held, node)
        study = done.wait()
    evidence = str(study.completion_evidence)
    assert evidence.startswith("Incomplete: no series matches the expected 'flair'.")
    assert "Doe" not in evidence


def test_one_association_an_image_makes_one_revision(node: ReceivingNode) -> None:
    whole = images(30)
    with completing(node, quiet_seconds=1.5) as done:
        sender = one_association_each(
            whole, node.listener.port, title="MODALITY", pause_seconds=0.1
        )
        study = done.wait(seconds=30.0)
        sender.join(10.0)
    assert (study.instance_count, study.revision) == (30, 1)
    with node.database.read() as session:
        assert [one.revision for one in studies.list_studies(session)] == [1]


def test_one_association_an_image_is_complete_at_once_with_a_source(
    node: ReceivingNode, source: OddSource
) -> None:
    source.held = images(30)
    with completing(node, [source_at(source, may_move=False)], **NEVER) as done:
        sender = one_association_each(
            source.held, node.listener.port, title="PACS", pause_seconds=0.05
        )
        study = done.wait(seconds=30.0)
        sender.join(10.0)
    assert (study.instance_count, study.revision) == (30, 1)
    assert source.asked["SERIES"] < 30  # not after every image


def test_a_late_image_makes_a_revision_that_is_complete_at_once(
    node: ReceivingNode, source: OddSource
) -> None:
    whole = images()
    source.held = whole[:6]
    with completing(node, [source_at(source, may_move=True)], **NEVER) as done:
        send(source.held, node)
        assert done.wait().instance_count == 6
        source.held = whole
        send(whole[6:], node)
        study = done.wait(2)
    assert (study.revision, study.instance_count) == (2, 8)
    assert not study.is_incomplete


def test_an_image_that_a_fetch_brings_too_late_makes_a_revision(
    node: ReceivingNode, source: OddSource
) -> None:
    """The fetch that was under way at the limit, or one that a person asked the archive for."""
    whole = images()
    source.held = whole
    with completing(
        node, [source_at(source, may_move=False)], quiet_seconds=0.3, wait_seconds=1.0
    ) as done:
        send(whole[:6], node)
        assert done.wait().is_incomplete
        send(whole, node, title="ARCHIVE")
        study = done.wait(2)
    assert (study.revision, study.instance_count) == (2, 8)


def test_a_restart_asks_again_and_the_limit_goes_on(node: ReceivingNode, source: OddSource) -> None:
    source.held = images()
    asked = [source_at(source, may_move=False)]
    began = time.monotonic()
    limits = Times(quiet_seconds=0.3, wait_seconds=4.0)
    send(source.held[:6], node)
    for _ in range(3):
        before = source.asked["SERIES"]
        with completing(node, asked, **limits) as done:
            time.sleep(1.0)
            assert done.studies == []
        assert source.asked["SERIES"] > before
    with completing(node, asked, **limits) as done:
        assert done.wait().is_incomplete
    assert time.monotonic() - began < 7.0


def test_restarts_that_fetch_what_is_here_hold_up_nothing(
    node: ReceivingNode, source: OddSource
) -> None:
    """Each start fetches the series again: images that come twice do not count as news."""
    source.held = images()
    source.unsendable = {source.held[-1].SOPInstanceUID}
    asked = [source_at(source, may_move=True)]
    limits = Times(quiet_seconds=0.6, wait_seconds=4.0)
    send(source.held[:-1], node)
    began = time.monotonic()
    completed: list[Study] = []
    while not completed and time.monotonic() - began < 12.0:
        with completing(node, asked, **limits) as done:
            time.sleep(1.3)
            completed = done.studies
    assert 4.0 <= time.monotonic() - began < 7.0
    assert completed[0].is_incomplete
    assert len(source.moves) >= 3


def test_a_source_that_cannot_be_asked_is_not_asked_for_every_study(
    node: ReceivingNode, source: OddSource
) -> None:
    source.find_status = 0xA700
    asked = [source_at(source, may_move=False)]
    patient = replace(PAUSES, unreachable=LONG)
    with completing(node, asked, quiet_seconds=1.0, wait_seconds=LONG, pauses=patient) as done:
        for name in range(6):
            send(builders.flair_series(slices=1, rows=16, columns=16, study=f"no {name}"), node)
        done.wait(6)
    # Those under way, and as many again where the first end during one look over the studies.
    assert source.asked["SERIES"] <= 2 * ERRANDS_OF_A_SOURCE


def test_questions_become_rarer_while_the_answer_stays_the_same(
    node: ReceivingNode, source: OddSource
) -> None:
    source.held = images()
    asked = [source_at(source, may_move=False)]
    rarer = replace(PAUSES, longest_ask=LONG)
    with completing(node, asked, quiet_seconds=0.5, wait_seconds=5.0, pauses=rarer) as done:
        send(source.held[:6], node)
        done.wait()
    assert 3 <= source.asked["SERIES"] <= 6  # after 0, 0.3, 0.9, 2.1 and 4.5 s


def test_an_image_that_comes_while_it_is_decided_is_decided_about(database: Database) -> None:
    def one_more() -> None:
        with database.begin() as session:
            studies.record_instances(session, [received.image(2)])

    with database.begin() as session:
        studies.record_instances(session, [received.image(1)])
    limits = Times(quiet_seconds=0.0, wait_seconds=0.0)
    with completing(Alone(database), **limits, meanwhile=one_more) as done:
        study = done.wait()
    assert study.instance_count == 2
    assert "2 images were received" in str(study.completion_evidence)


def test_two_listeners_that_ask_at_once_complete_a_study_once(database: Database) -> None:
    """On SQLite and on PostgreSQL, where they share nothing but the database."""
    source = OddSource(held=images())
    rows = [
        received.image(
            number,
            study=one.StudyInstanceUID,
            series_uid=one.SeriesInstanceUID,
            source_ae="PACS",
            received_at=datetime.now(UTC),
        )
        for number, one in enumerate(source.held)
    ]
    with running_source(source), ExitStack() as stack:
        asked = [source_at(source, may_move=False)]
        both = [stack.enter_context(completing(Alone(database), asked, **NEVER)) for _ in range(2)]
        with database.begin() as session:
            studies.record_instances(session, rows)
        wait_until(lambda: any(one.studies for one in both), timeout_seconds=10.0, what="the study")
        time.sleep(1.0)
    assert sum(len(one.studies) for one in both) == 1
    with database.read() as session:
        (study,) = studies.list_studies(session)
    assert study.state is StudyState.COMPLETE


def test_no_description_gets_into_the_log(
    node: ReceivingNode, source: OddSource, caplog: pytest.LogCaptureFixture
) -> None:
    source.held, source.move_status = images(description="Doe^Jane"), 0xA801
    with (
        caplog.at_level("DEBUG", logger="agent"),
        completing(
            node,
            [source_at(source, may_move=True)],
            quiet_seconds=0.2,
            wait_seconds=1.5,
            expected=["t1"],
        ) as done,
    ):
        send(source.held[:3] + source.held[4:], node)
        done.wait()
    assert "Doe" not in caplog.text
    assert "Phantom" not in caplog.text
    (complete,) = [one for one in caplog.records if vars(one).get("action") == "study_complete"]
    assert complete.levelname == "WARNING"
    assert vars(complete)["incomplete"] is True


def test_the_end_of_the_quiet_time_and_of_an_errand_need_no_further_look(
    node: ReceivingNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "LOOK_SECONDS", LONG)
    send(images(), node)
    assert node.receipts.flush()
    with completing(node, quiet_seconds=0.3) as done:
        assert not done.wait().is_incomplete
