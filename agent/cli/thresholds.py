"""`neurosieve thresholds`: what counts as abnormal, who decided so, and on which studies."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import opened
from agent.cli.border import (
    ConfigOption,
    JsonOption,
    WhyOption,
    one_sentence,
    print_facts,
    print_json,
    problems,
    say,
    show,
    who,
)

if TYPE_CHECKING:
    from agent.calibration import Refused, Scored
    from agent.cli.calibration_price import Price
    from agent.cli.opened import Opened
    from agent.inference import OnnxModel
    from agent.model_toml import ModelDescription
    from agent.stored_studies import Query
    from storage.model_records import ThresholdSet

app = typer.Typer(help="See, set and calibrate what counts as abnormal.", no_args_is_help=True)

ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="The model they belong to; without it the active one."),
]
COLUMNS = ("number", "slice", "pixel", "studies", "rate", "made_at", "made_by", "why")


@app.command("show")
@one_sentence
def show_thresholds(
    model: ModelOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show the thresholds that hold for a model, and what they rest on.

    Example: neurosieve thresholds show
    """
    from storage import thresholds

    with opened.node(config) as node:
        with node.database.read() as session:
            version = opened.wanted(session, model)
            made = thresholds.latest(session, version.name, version.version)
        described = node.models.of(version, made).description
    facts = {"model": version.label, **_facts(described), **_origin(made)}
    if as_json:
        print_json(facts)
    else:
        print_facts(f"Thresholds of {version.label}", facts)


@app.command("set")
@one_sentence
def set_thresholds(
    share: Annotated[
        float | None,
        typer.Argument(
            help="Share of tumour-free slices that may pass, between 0 and 1, such as 0.05.",
            show_default=False,
        ),
    ] = None,
    slice_score: Annotated[
        float | None,
        typer.Option(help="Instead of a share: the slice score itself.", show_default=False),
    ] = None,
    pixel: Annotated[
        float | None,
        typer.Option(help="Height of the anomaly map that draws a region.", show_default=False),
    ] = None,
    minimum_volume_ml: Annotated[
        float | None, typer.Option(help="Smaller regions are dropped.", show_default=False)
    ] = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    why: WhyOption = "",
) -> None:
    """Set thresholds by hand. They hold from the next study on if their model is active.

    Example: neurosieve thresholds set 0.05 --why "fewer false alarms"
    """
    from agent import threshold_choice
    from storage import thresholds

    with opened.node(config) as node:
        with node.database.read() as session:
            version = opened.wanted(session, model)
            before = thresholds.latest(session, version.name, version.version)
        described = node.models.of(version, before).description
        made = threshold_choice.by_hand(
            described,
            before,
            share=share,
            slice_score=slice_score,
            pixel=pixel,
            minimum_volume_ml=minimum_volume_ml,
            by=who(),
            why=why,
            now=datetime.now(UTC),
        )
        _keep(node, made)


@app.command()
@one_sentence
def calibrate(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            exists=True,
            file_okay=False,
            help="Folder of tumour-free studies. NIfTI volumes are of one patient where they lie "
            "in one sub-… folder or bear one sub-… name.",
        ),
    ] = None,
    from_studies: Annotated[
        str | None,
        typer.Option(
            help="Or stored ones marked normal or false-positive: one or more of marked=, "
            "scanner=, since= and until=, e.g. scanner=Achieva,since=2026-01-01. Times without a "
            "zone are UTC."
        ),
    ] = None,
    false_positive_rate: Annotated[
        float, typer.Option(help="Share of tumour-free studies that may be called abnormal.")
    ] = 0.05,
    model: ModelOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print, and change nothing.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    why: WhyOption = "",
) -> None:
    """Choose the slice threshold by tumour-free studies of this site, one of each patient.

    Example: neurosieve thresholds calibrate --from normals
    """
    from agent import calibration, stored_studies
    from agent.cli.calibration_price import Price
    from storage import thresholds

    if (source is None) == (from_studies is None):
        raise typer.BadParameter("Say either --from or --from-studies.")
    calibration.needed(false_positive_rate)  # before long work
    query = stored_studies.parse(from_studies or "")
    with opened.node(config) as node:
        with node.database.read() as session:
            version = opened.wanted(session, model)
            before = thresholds.latest(session, version.name, version.version)
        used = node.models.of(version, before)
        answers = _scores(node, used, source, query)
        scored, refused = calibration.parted(answers)
        used_for = calibration.one_per_patient(scored)
        for one in refused:
            say(f"Not used: {one.name}: {one.reason}", on=problems)
        point = calibration.operating_point(
            [one.study_score for one in used_for], false_positive_rate
        )
        with node.database.read() as session:
            lesions = stored_studies.lesion_scores(session, used.description)
        own = used.description.thresholds
        _tell(
            Price(before=own, point=point, scored=scored, used=used_for, lesions=lesions),
            as_json=as_json,
        )
        if dry_run:
            return
        made = calibration.thresholds(
            used.description, used_for, point, by=who(), why=why, now=datetime.now(UTC)
        )
        _keep(node, made, quiet=as_json)


@app.command()
@one_sentence
def history(
    model: ModelOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the thresholds that were made for a model, the newest first.

    Example: neurosieve thresholds history
    """
    from storage import thresholds

    with opened.node(config) as node, node.database.read() as session:
        version = opened.wanted(session, model)
        rows = [
            asdict(one) | _origin(one)
            for one in thresholds.history(session, version.name, version.version)
        ]
    show(rows, columns=COLUMNS, title=f"Thresholds of {version.label}", as_json=as_json)


def _scores(
    node: "Opened", model: "OnnxModel", source: Path | None, query: "Query"
) -> "list[Scored | Refused]":
    """What the model says of each study, with a bar while it reads."""
    from functools import partial

    from rich.progress import track

    from agent import bootstrap, site_studies, stored_studies

    rules = bootstrap.series_rules(node.settings)
    if source is not None:
        found = site_studies.find(source, model.description.sequence)
        patients = len({one.patient for one in found})
        say(f"Studies in {source}: {len(found)}, patients: {patients}.", on=problems)
        tasks = [partial(site_studies.score, one, model, rules) for one in found]
    else:
        read = partial(stored_studies.score, node.database, node.store, model, rules)
        with node.database.read() as session:
            tasks = [partial(read, one) for one in stored_studies.find(session, query)]
    watched = track(
        tasks,
        "Reading studies",
        console=problems,
        transient=True,
        disable=not problems.is_terminal,
    )
    return [task() for task in watched]


def _tell(price: "Price", *, as_json: bool) -> None:
    if as_json:
        print_json(price.facts)
        return
    for sentence in price.sentences():
        say(sentence)


def _keep(node: "Opened", made: "ThresholdSet", *, quiet: bool = False) -> None:
    """Keep thresholds, put them in force if their model is, and say so."""
    from storage import activations, audit, thresholds

    with node.database.begin() as session:
        kept = thresholds.add(session, made)
        active = activations.use_thresholds(session, kept)
        audit.append(
            session,
            who=kept.made_by,
            action="thresholds set",
            subject=f"{kept.model_name}@{kept.model_version}",
            detail=f"{kept.version}: {kept.operating_point}. {kept.why}".strip(),
            now=kept.made_at,
        )
    if quiet:
        return
    say(
        f"Thresholds {kept.version} (number {kept.number}): slice {kept.slice:.4g}, pixel "
        f"{kept.pixel:.4g}, {kept.minimum_volume_ml:g} ml."
    )
    say(
        "In force from the next study on; `neurosieve models rollback` takes them back."
        if active
        else "In force as soon as their model is active."
    )


def _facts(described: "ModelDescription") -> dict[str, object]:
    chosen = described.thresholds
    return {
        "version": chosen.version,
        "slice": chosen.slice,
        "pixel": chosen.pixel,
        "minimum_volume_ml": chosen.minimum_volume_ml,
        "operating_point": described.operating_point,
        "reference_slices": len(described.slice_reference),
        "reference_studies": len(described.study_reference),
    }


def _origin(made: "ThresholdSet | None") -> dict[str, object]:
    if made is None:
        return {"made_by": "training"}
    rate = made.false_positive_rate
    return {
        "made_by": made.made_by,
        "made_at": made.made_at,
        "why": made.why,
        "studies": made.study_count,
        "rate": None
        if rate is None
        else f"{rate:g} [{made.rate_low or 0:.3f}, {made.rate_high or 0:.3f}]",
    }
