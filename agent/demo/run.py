"""One bundled study through a throw-away node: sent, analysed, returned, looked at."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from agent import bootstrap
from agent.demo.pacs import SimulatedPacs
from agent.dicom.peer import Destination
from agent.errors import AgentError
from agent.node import Node
from agent.settings import (
    CompletionSettings,
    DestinationSettings,
    NodeSettings,
    Settings,
    StatusSettings,
)
from storage import results, studies
from storage.enums import TERMINAL_STATES
from storage.records import Analysis, Lesion, ResultObject, SeriesDecision, Study

QUIET_SECONDS = 1.0
TIMEOUT_SECONDS = 300.0
_LOOK_SECONDS = 0.1


class DemoFailed(AgentError):
    """The demonstration did not come to its end."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came back, and how long each stage took."""

    study: Study
    analysis: Analysis
    decisions: tuple[SeriesDecision, ...]
    lesions: tuple[Lesion, ...]
    objects: tuple[ResultObject, ...]
    images_sent: int
    seconds: dict[str, float]


def run(received: Path, *, say: Callable[[str], None]) -> Outcome:
    """Send the bundled study and wait until `received` holds its results.

    Raises DemoFailed when the study did not end as delivered.
    """
    with (
        resources.as_file(resources.files("agent.demo") / "study") as folder,
        tempfile.TemporaryDirectory(prefix="neurosieve-demo-") as scratch,
        SimulatedPacs(received) as pacs,
    ):
        images = sorted(folder.glob("*.dcm"))
        started = datetime.now(UTC)
        node = bootstrap.build_node(_settings(Path(scratch), pacs), listens=True, works=True)
        node.start()
        try:
            say(f"A throw-away node listens; the simulated PACS sends {len(images)} images.")
            sending = datetime.now(UTC)
            _send(pacs, node, images)
            sent = datetime.now(UTC)
            say("All images are safe; waiting for the results.")
            study = _wait(node)
            return _outcome(node, study, len(images), (started, sending, sent))
        finally:
            node.stop()


def _settings(scratch: Path, pacs: SimulatedPacs) -> Settings:
    """Only what is written here counts: a demonstration ignores the site's configuration."""
    return Settings.model_construct(
        node=NodeSettings(port=0, data_dir=scratch, reserve_gb=0.0, watermark_percent=100.0),
        status=StatusSettings(enabled=False),
        completion=CompletionSettings(quiet_seconds=QUIET_SECONDS),
        destinations=(
            DestinationSettings(
                name="pacs", ae_title=pacs.ae_title, host=pacs.destination.host, port=pacs.port
            ),
        ),
    )


def _send(pacs: SimulatedPacs, node: Node, images: list[Path]) -> None:
    assert node.reception is not None  # the demonstration plays both roles
    target = Destination(
        name="node",
        ae_title="NEUROSIEVE",
        host="127.0.0.1",
        port=node.reception.listener.port,
    )
    refused = [outcome for outcome in pacs.send(images, target) if not outcome.stored]
    if refused:
        raise DemoFailed(f"{len(refused)} images were not taken: {refused[0].message}")


def _wait(node: Node) -> Study:
    end = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < end:
        with node.database.read() as session:
            listed = studies.list_studies(session)
        if listed and listed[0].state in TERMINAL_STATES:
            return listed[0]
        time.sleep(_LOOK_SECONDS)
    raise DemoFailed(f"No result after {TIMEOUT_SECONDS:.0f} s.")


def _outcome(
    node: Node, study: Study, images_sent: int, moments: tuple[datetime, datetime, datetime]
) -> Outcome:
    with node.database.read() as session:
        analysis = results.analysis_of(session, study.key)
        objects = results.objects_of(session, study.key)
        outcome_lesions = results.lesions_of(session, study.key)
        decisions = studies.series_decisions(session, study.key)
    if analysis is None or study.error:
        raise DemoFailed(f"The study ended as {study.state}: {study.error}")
    return Outcome(
        study=study,
        analysis=analysis,
        decisions=tuple(decisions),
        lesions=outcome_lesions,
        objects=objects,
        images_sent=images_sent,
        seconds=dict(_stages(study, analysis, moments)),
    )


def _stages(
    study: Study, analysis: Analysis, moments: tuple[datetime, datetime, datetime]
) -> Iterator[tuple[str, float]]:
    started, sending, sent = moments
    completed, finished = study.completed_at or sent, study.finished_at or sent
    yield "start of the node", (sending - started).total_seconds()
    yield "receive", (sent - sending).total_seconds()
    yield f"quiet time ({QUIET_SECONDS:g} s configured)", (completed - sent).total_seconds()
    yield "choose and analyse", (analysis.created_at - completed).total_seconds()
    yield "compose and deliver", (finished - analysis.created_at).total_seconds()
    yield (
        "last image to results stored, without the quiet time",
        ((finished - completed).total_seconds()),
    )
