"""`neurosieve models`: which models the node knows, which one reads studies, and the way back."""

import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import model_compare, opened
from agent.cli.border import (
    ConfigOption,
    JsonOption,
    WhyOption,
    one_sentence,
    print_facts,
    print_json,
    say,
    show,
    who,
)

if TYPE_CHECKING:
    from agent.model_toml import ModelDescription
    from storage.model_records import Activation, ModelVersion

app = typer.Typer(help="See, bring in, try and activate models, and go back.", no_args_is_help=True)

ModelArgument = Annotated[
    str, typer.Argument(help="name@version, or a version or name that only one model bears.")
]
COLUMNS = ("model", "use", "origin", "sequence", "registered", "sha256")
HISTORY = ("at", "change", "model", "thresholds", "by", "why")


@app.command("list")
@one_sentence
def list_models(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the models this node knows, and say which one is active and which is on trial.

    Example: neurosieve models list
    """
    from storage import activations, registry

    with opened.node(config) as node, node.database.read() as session:
        known = registry.list_versions(session)
        current = activations.in_force(session)
    rows = [_row(version, current) for version in known]
    show(rows, columns=COLUMNS, title="Models", as_json=as_json)


@app.command("show")
@one_sentence
def show_model(
    model: ModelArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show one model: where it came from, what it was made for, its own thresholds.

    Example: neurosieve models show 2.2.0
    """
    from storage import activations, registry

    with opened.node(config) as node:
        with node.database.read() as session:
            version = registry.find(session, model)
            current = activations.in_force(session)
        described = node.folders.verify(version)
        folder = node.folders.folder_of(version)
    facts = _row(version, current) | _described(described) | {"folder": str(folder)}
    if as_json:
        print_json(facts)
    else:
        print_facts(f"Model {version.label}", facts)


@app.command("import")
@one_sentence
def import_model(
    folder: Annotated[Path, typer.Argument(help="The model folder.", exists=True, file_okay=False)],
    config: ConfigOption = None,
    why: WhyOption = "",
) -> None:
    """Copy a model folder to the node, after it was checked and loaded. It is not yet active.

    Example: neurosieve models import candidate
    """
    from storage import audit, registry
    from storage.enums import Origin

    with opened.node(config) as node:
        version = node.folders.adopt(folder, Origin.IMPORTED)
        with node.database.begin() as session:
            known = registry.register(session, version)
            audit.append(
                session,
                who=who(),
                action="model imported",
                subject=known.label,
                detail=f"sha256 {known.sha256}. {why}".strip(),
                now=datetime.now(UTC),
            )
    say(f"{known.label} is here. `neurosieve models activate {known.label}` lets it read studies.")


@app.command()
@one_sentence
def activate(model: ModelArgument, config: ConfigOption = None, why: WhyOption = "") -> None:
    """Let a model read studies, with the thresholds that were made for it.

    Example: neurosieve models activate 2.2.1 --why "accepted by the radiologists"
    """
    from storage import activations, audit, registry

    with opened.node(config) as node:
        with node.database.read() as session:
            version = registry.find(session, model)
        node.folders.verify(version)
        node.models.of(version, None)  # one that cannot run must not be active
        with node.database.begin() as session:
            now = datetime.now(UTC)
            done = activations.activate(session, version, by=who(), why=why, now=now)
            audit.append(
                session,
                who=who(),
                action="model activated",
                subject=done.label,
                detail=why,
                now=now,
            )
    say(f"{_in_words(done)} from the next study on.")


@app.command()
@one_sentence
def rollback(config: ConfigOption = None, why: WhyOption = "") -> None:
    """Go back to the model and the thresholds that were in force before the last change.

    Example: neurosieve models rollback --why "too many false alarms"
    """
    from storage import activations, audit, registry

    with opened.node(config) as node, node.database.begin() as session:
        now = datetime.now(UTC)
        done = activations.rollback(session, by=who(), why=why, now=now)
        version = registry.get(session, done.model_name, done.model_version)
        node.folders.verify(version)  # within the transaction: nothing changes if it fails
        audit.append(
            session, who=who(), action="rolled back", subject=done.label, detail=why, now=now
        )
    say(f"{_in_words(done)} from the next study on.")


@app.command()
@one_sentence
def shadow(
    model: Annotated[
        str | None, typer.Argument(help="The model to try; none with --off.", show_default=False)
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="End the trial.")] = False,
    config: ConfigOption = None,
    why: WhyOption = "",
) -> None:
    """Let a second model read every study too; what it says is kept and never sent.

    Example: neurosieve models shadow 2.2.1
    """
    from agent.status import alarms
    from storage import audit, registry

    if (model is None) != off:
        raise typer.BadParameter("Name a model, or say --off.")
    with opened.node(config) as node:
        version = None
        if model is not None:
            with node.database.read() as session:
                version = registry.find(session, model)
            node.folders.verify(version)
            node.models.of(version, None)
        with node.database.begin() as session:
            registry.set_shadow(session, version)
            audit.append(
                session,
                who=who(),
                action=alarms.TRIAL_BEGAN if version else "trial ended",
                subject=version.label if version else "",
                detail=why,
                now=datetime.now(UTC),
            )
    say(
        f"{version.label} reads every study from now on, for comparison only."
        if version
        else "No model is on trial."
    )


@app.command()
@one_sentence
def export(
    model: ModelArgument,
    out: Annotated[Path, typer.Argument(help="The folder to write; it must not be there yet.")],
    config: ConfigOption = None,
) -> None:
    """Copy a model's folder out of the node.

    Example: neurosieve models export 2.2.0 exported
    """
    from storage import registry

    with opened.node(config) as node:
        with node.database.read() as session:
            version = registry.find(session, model)
        node.folders.verify(version)
        shutil.copytree(node.folders.folder_of(version), out)
    say(f"{version.label} is in {out}. Thresholds made for it here stay here.")


@app.command()
@one_sentence
def history(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List what has read studies since when, who changed it and why, the newest first.

    Example: neurosieve models history
    """
    from storage import activations, thresholds

    with opened.node(config) as node, node.database.read() as session:
        rows = [
            asdict(one)
            | {
                "model": one.label,
                "thresholds": thresholds.get(session, one.thresholds).version
                if one.thresholds
                else "its own",
            }
            for one in activations.history(session)
        ]
    show(rows, columns=HISTORY, title="In force, the newest first", as_json=as_json)


app.command()(model_compare.compare)


def _row(version: "ModelVersion", current: "Activation | None") -> dict[str, object]:
    uses = []
    if current and current.label == version.label:
        uses.append("active")
    if version.shadow:
        uses.append("on trial")
    return {
        "model": version.label,
        "use": ", ".join(uses),
        "origin": version.origin.value.lower(),
        "sequence": version.sequence,
        "registered": version.registered_at,
        "sha256": version.sha256[:12],
    }


def _described(described: "ModelDescription") -> dict[str, object]:
    own = described.thresholds
    return {
        "plane": described.plane,
        "input": f"{described.size} x {described.size} pixels, {described.context} slices",
        "own_thresholds": f"{own.version}: slice {own.slice:.4g}, pixel {own.pixel:.4g}, "
        f"{own.minimum_volume_ml:g} ml",
        "operating_point": described.operating_point,
        "tumour_free_reference": f"{len(described.slice_reference)} slices, "
        f"{len(described.study_reference)} studies",
        "training_data_sha256": described.training_data_sha256,
        "code_version": described.code_version,
    }


def _in_words(done: "Activation") -> str:
    made = f"thresholds number {done.thresholds}" if done.thresholds else "its own thresholds"
    return f"{done.label} with {made} reads studies"
