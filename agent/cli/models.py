"""`neurosieve models`: which models the node knows."""

from pathlib import Path

import typer

from agent.cli.border import ConfigOption, JsonOption, one_sentence, show

app = typer.Typer(help="See the models of this node.", no_args_is_help=True)

COLUMNS = ("name", "version", "active", "sequence", "thresholds", "sha256")


@app.command("list")
@one_sentence
def list_models(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the models that have run here and the one that runs next."""

    from agent import bootstrap, model_toml, settings
    from storage import registry

    values = settings.load(config)
    storage = bootstrap.open_storage(values)
    with storage.database.read() as session:
        known = registry.list_versions(session)
    storage.database.close()
    configured = bootstrap.model_folder(values)
    described = model_toml.describe(configured)
    rows: list[dict[str, object]] = [
        {
            "name": described.name,
            "version": described.version,
            "active": "yes",
            "sequence": described.sequence,
            "plane": described.plane,
            "thresholds": described.thresholds.version,
            "sha256": described.digest[:12],
            "folder": configured.name,
        }
    ]
    rows.extend(
        {
            "name": version.name,
            "version": version.version,
            "active": "",
            "sha256": version.sha256[:12],
            "folder": Path(version.folder).name,
        }
        for version in known
        if version.sha256 != described.digest
    )
    show(rows, columns=COLUMNS, title="Models", as_json=as_json)
