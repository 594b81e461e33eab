"""Asks for retrainings, finds the one that a person means, and takes one back."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent import stored_studies, training_order
from agent.errors import ConfigurationError
from agent.jobs import Jobs
from agent.stored_studies import Query
from agent.training_order import Order
from storage import audit, studies, training
from storage.database import Database
from storage.enums import TrainingState
from storage.model_records import ModelVersion, TrainingRun
from storage.store import Store

OWN_RECIPE = "retrain"  # that of the base model, on a shorter course


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where requests are made."""

    database: Database
    jobs: Jobs
    store: Store
    data_dir: Path


def ask(desk: Desk, order: Order, base: ModelVersion, *, who: str) -> TrainingRun:
    """A new training, or the unfinished one of the same order.

    Raises ConfigurationError while another one is unfinished, or where no study is marked normal.
    """
    known = unfinished(desk)
    if known is not None:
        if training_order.load(desk.data_dir / known.folder) == order:
            return known
        raise ConfigurationError(
            f"Training {known.name} is unfinished: go on with `neurosieve retrain --resume`, or "
            f"take it back with `neurosieve retrain --cancel {known.name}`."
        )
    run = fresh(desk, order, base, who=who)
    folder = desk.data_dir / run.folder
    training_order.save(folder, order)
    if not order.data:
        link_normal_studies(desk, training_order.source_of(folder))
    with desk.database.begin() as session:
        training.add(session, run)
        desk.jobs.submit_training(session, run.name)
        audit.append(
            session,
            who=who,
            action="retraining asked for",
            subject=run.name,
            detail=f"from {base.label} with {order.data or 'studies marked normal'}",
            now=run.asked_at,
        )
    return run


def fresh(desk: Desk, order: Order, base: ModelVersion, *, who: str) -> TrainingRun:
    """The row of a new training, named by the day."""
    now = datetime.now(UTC)
    day = f"site.{now:%Y%m%d}-"
    with desk.database.read() as session:
        names = {run.name for run in training.list_runs(session)}
    number = next(n for n in range(1, len(names) + 2) if f"{day}{n}" not in names)
    name = f"{day}{number}"
    folder = desk.data_dir / training_order.FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)  # of a request that was killed before it was made
    return TrainingRun(
        name=name,
        state=TrainingState.QUEUED,
        folder=folder.relative_to(desk.data_dir).as_posix(),
        recipe=order.recipe or OWN_RECIPE,
        base_name=base.name,
        base_version=base.version,
        device=order.device,
        asked_by=who,
        asked_at=now,
    )


def unfinished(desk: Desk) -> TrainingRun | None:
    """The training that is queued or running, if any."""
    with desk.database.read() as session:
        listed = training.list_runs(session)
    return next((run for run in listed if run.state not in training.ENDED), None)


def cancel(desk: Desk, name: str, *, who: str) -> TrainingRun:
    """Take a training back; whoever runs it ends its child."""
    with desk.database.begin() as session:
        now = datetime.now(UTC)
        run = training.finish(session, name, TrainingState.CANCELLED, now=now)
        audit.append(
            session, who=who, action="retraining cancelled", subject=name, detail="", now=now
        )
    desk.jobs.cancel_training(name)
    return run


def link_normal_studies(desk: Desk, target: Path) -> None:
    """Put the files of every study whose newest mark is normal together, without copying them."""
    count = 0
    for number, files in enumerate(normal_studies(desk)):
        place = target / f"{number:05}"
        place.mkdir(parents=True)
        for index, file in enumerate(files):
            link(file, place / f"{index:05}.dcm")
            count += 1
    if not count:
        raise ConfigurationError(
            "No study is marked normal; radiologists mark them with `neurosieve studies mark STUDY "
            "normal`."
        )


def normal_studies(desk: Desk) -> Iterable[list[Path]]:
    """The files of each such study that are still here."""
    with desk.database.read() as session:
        for study in stored_studies.find(session, Query()):
            instances = studies.instances_of(session, study.key)
            kept = desk.store.paths_of(one.path for one in instances)
            yield [path for path in kept if path.is_file()]


def link(file: Path, target: Path) -> None:
    """A second name for a file, a copy where the disk knows no second names."""
    try:
        target.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, target)
