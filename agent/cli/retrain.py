"""`neurosieve retrain`: a site's own tumour-free scans become a candidate, never more than that."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import opened
from agent.cli.border import (
    ConfigOption,
    JsonOption,
    one_sentence,
    print_json,
    problems,
    say,
    show,
    who,
)

if TYPE_CHECKING:
    from agent.cli.opened import Opened
    from agent.jobs import Jobs
    from agent.node import Training
    from agent.training_order import Order
    from agent.training_requests import Desk
    from storage.model_records import ModelVersion, TrainingRun

LOOK_SECONDS = 0.5
RUNS = ("name", "state", "progress", "stage", "base_version", "asked_by", "asked_at", "error")
CHECKED = ("source", "why", "reason")

Data = Annotated[
    Path | None,
    typer.Option(
        help="Tumour-free scans: DICOM, BIDS or other NIfTI, or 2D images.",
        exists=True,
        file_okay=False,
        show_default=False,
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(help="Learn anew by this recipe, a name or a file.", show_default=False),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="The model to go on from and to compare with; else the active one.",
        show_default=False,
    ),
]
Gpu = Annotated[bool, typer.Option("--gpu", help="Train on a CUDA GPU.")]
FromStudies = Annotated[
    bool, typer.Option("--from-studies", help="Use the stored studies that are marked normal.")
]
LeaveOut = Annotated[
    bool, typer.Option("--leave-out", help="Go on without the scans that do not suit.")
]
Steps = Annotated[int, typer.Option(min=0, help="Most steps; 0: as the recipe says.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the unfinished retraining.")]
ListRuns = Annotated[bool, typer.Option("--list", help="List the retrainings.")]
Cancel = Annotated[
    str | None, typer.Option(help="Take the retraining of that name back.", show_default=False)
]


@one_sentence
def retrain(
    data: Data = None,
    recipe: Recipe = None,
    model: From = None,
    gpu: Gpu = False,
    from_studies: FromStudies = False,
    leave_out: LeaveOut = False,
    steps: Steps = 0,
    resume: Resume = False,
    list_runs: ListRuns = False,
    cancel: Cancel = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a model go on learning from tumour-free scans of this site; the outcome is a candidate.

    The scans are checked first. Broken off at any moment, the same command or `--resume` goes on.
    The candidate reads no study before somebody activates it.

    Example: neurosieve retrain --data scans --steps 40
    """
    from agent import training_requests
    from agent.errors import ConfigurationError
    from agent.jobs import Jobs

    with opened.node(config) as node:
        jobs = Jobs(node.database)
        try:
            desk = training_requests.Desk(
                database=node.database,
                jobs=jobs,
                store=node.store,
                data_dir=node.settings.node.data_dir.resolve(),
            )
            if list_runs:
                _list(desk, as_json=as_json)
                return
            if cancel is not None:
                gone = training_requests.cancel(desk, cancel, who=who())
                say(f"Retraining {gone.name} is cancelled.")
                return
            trainer = _trainer(node, jobs)
            if resume:
                run = training_requests.unfinished(desk)
                if run is None:
                    raise ConfigurationError("No retraining is unfinished.")
            else:
                base = _base(node, model)
                order = _order(
                    node,
                    base,
                    data,
                    recipe,
                    gpu=gpu,
                    from_studies=from_studies,
                    steps=steps,
                    leave_out=leave_out,
                )
                run = training_requests.ask(desk, order, base, who=who())
            _follow(desk, run, trainer, as_json=as_json)
        finally:
            jobs.close()


def _list(desk: "Desk", *, as_json: bool) -> None:
    from storage import training

    with desk.database.read() as session:
        rows = [asdict(run) for run in training.list_runs(session)]
    show(rows, columns=RUNS, title="Retrainings, the newest first", as_json=as_json)


def _trainer(node: "Opened", jobs: "Jobs") -> "Training | None":
    """What trains in this process; None where another process of the node does already."""
    from agent import bootstrap, training_order

    storage = bootstrap.Storage(database=node.database, store=node.store)
    trainer = bootstrap.training(node.settings, storage, jobs)
    if not trainer.take_slot():
        return None
    training_order.need_torch()
    return trainer


def _base(node: "Opened", model: str | None) -> "ModelVersion":
    """The model that is gone on from; its folder is as it was registered."""
    with node.database.read() as session:
        version = opened.wanted(session, model)
    node.folders.verify(version)
    return version


def _order(
    node: "Opened",
    base: "ModelVersion",
    data: Path | None,
    recipe: str | None,
    *,
    gpu: bool,
    from_studies: bool,
    steps: int,
    leave_out: bool,
) -> "Order":
    """What is asked for, with paths that mean the same wherever the trainer runs."""
    from agent import training_order
    from agent.errors import ConfigurationError

    if (data is None) == (not from_studies):
        raise ConfigurationError("Say where the scans are: --data DIR, or --from-studies.")
    folder = node.folders.folder_of(base).resolve()
    if recipe is None and not (folder / training_order.WEIGHTS_FILE).is_file():
        raise ConfigurationError(
            f"{base.label} came without {training_order.WEIGHTS_FILE}, so nothing can go on from "
            "it: name another model with --from, or a --recipe to learn anew."
        )
    named = Path(recipe) if recipe else None
    return training_order.Order(
        data="" if data is None else str(data.resolve()),
        base=str(folder),
        recipe=str(named.resolve()) if named and named.is_file() else recipe,
        steps=steps,
        leave_out=leave_out,
        device="cuda" if gpu else "cpu",
    )


def _follow(desk: "Desk", run: "TrainingRun", trainer: "Training | None", *, as_json: bool) -> None:
    """Train here, or watch who trains, until the retraining has ended."""
    if trainer is not None:
        trainer.start()
    else:
        say(f"Another process of this node trains; {run.name} waits for it.", on=problems)
    try:
        ended = _watch(desk, run.name)
    except KeyboardInterrupt:
        say("Broken off; `neurosieve retrain --resume` goes on.", on=problems)
        raise typer.Exit(1) from None
    finally:
        if trainer is not None:
            trainer.stop()
    _conclude(desk, ended, as_json=as_json)


def _watch(desk: "Desk", name: str) -> "TrainingRun":
    """A bar on standard error, where somebody looks."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from storage import training

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=problems, disable=not problems.is_terminal) as bar:
        task = bar.add_task(name, total=1.0)
        while True:
            with desk.database.read() as session:
                run = training.get(session, name)
            bar.update(task, completed=run.progress, description=f"{name} {run.stage[:60]}")
            if run.state in training.ENDED:
                return run
            time.sleep(LOOK_SECONDS)


def _conclude(desk: "Desk", run: "TrainingRun", *, as_json: bool) -> None:
    """What came of it; exit code 1 where no candidate did."""
    from storage.enums import TrainingState

    checked = _checked(desk, run)
    if as_json:
        print_json(asdict(run) | {"checked": checked})
    else:
        _show_checked(checked)
    if run.state is not TrainingState.REGISTERED:
        said = run.error or f"Retraining {run.name} was cancelled."
        say(f"neurosieve: {said}", on=problems)
        raise typer.Exit(1)
    if not as_json:
        label = f"{run.base_name}@{run.candidate_version}"
        report = desk.data_dir / run.folder / "work" / "candidate" / "report.md"
        say(
            f"{label} is registered as a candidate; {report} compares it with {run.base_version}.\n"
            f"`neurosieve models shadow {label}` tries it beside the active model."
        )


def _checked(desk: "Desk", run: "TrainingRun") -> dict[str, object] | None:
    """What was taken of the scans and what not; None where nothing was looked at."""
    import json

    from agent import training_order

    path = training_order.checked_of(desk.data_dir / run.folder)
    if not path.is_file():
        return None
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _show_checked(checked: dict[str, object] | None) -> None:
    if checked is None:
        return
    left_out, beside, patients = checked["left_out"], checked["beside"], checked["patients"]
    assert isinstance(left_out, list)
    assert isinstance(beside, list)
    assert isinstance(patients, dict)
    if left_out:
        show(left_out, columns=CHECKED, title="Scans that do not suit", as_json=False)
    if beside:
        show(beside, columns=CHECKED, title="Other files, not read", as_json=False)
    count = ", ".join(f"{number} {split}" for split, number in patients.items())
    say(f"{checked['taken']} scans suit ({count} patients).")
