"""Puts the commands together. Nothing heavy is imported before a command runs."""

from typing import Annotated

import typer

from agent.cli import (
    analyse,
    audit,
    backup,
    bench,
    demo,
    destinations,
    doctor,
    drift,
    models,
    retention,
    retrain,
    serve,
    status,
    studies,
    thresholds,
    users,
)

app = typer.Typer(
    name="neurosieve",
    help="A DICOM node for brain MRI that flags what a GAN, which learnt tumour-free brain, "
    "cannot restore. RESEARCH USE ONLY.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals may hold patient data
)
app.command("serve")(serve.serve)
app.command("listen")(serve.listen)
app.command("work")(serve.work)
app.command("status")(status.status)
app.command("demo")(demo.demo)
app.command("analyse")(analyse.analyse)
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)
app.command("retrain")(retrain.retrain)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(studies.app, name="studies")
app.add_typer(models.app, name="models")
app.add_typer(thresholds.app, name="thresholds")
app.add_typer(drift.app, name="drift")
app.add_typer(destinations.app, name="destinations")
app.add_typer(users.app, name="users")
app.add_typer(audit.app, name="audit")
app.add_typer(retention.app, name="retention")


def _print_version(value: bool) -> None:
    if value:
        from importlib import metadata

        typer.echo(f"neurosieve {metadata.version('neurosieve')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Nothing to do before a command: `--version` acts by its callback."""
    del version
