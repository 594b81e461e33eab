"""`neurosieve drift`: which scanners score otherwise than the calibration, and their release."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import opened
from agent.cli.border import ConfigOption, JsonOption, WhyOption, one_sentence, say, show, who

if TYPE_CHECKING:
    from agent.drift_watch import Watched

app = typer.Typer()  # its help is that of the command without a subcommand

COLUMNS = ("scanner", "month", "studies", "median", "abnormal", "D+", "D-", "p", "verdict")


@app.callback(invoke_without_command=True)
@one_sentence
def drift(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Watch the study scores of scanners against the calibration, and release one that was held.

    Without a subcommand it prints a row for each scanner and month.

    Example: neurosieve drift
    """
    if context.invoked_subcommand is not None:
        return
    from agent import bootstrap

    with opened.node(config) as node:
        described, watched = bootstrap.drift_watch(node.settings, node.database).look()
    rule = node.settings.drift
    show(map(_row, watched), columns=COLUMNS, title="Drift", as_json=as_json)
    if as_json:
        return
    count = len(described.study_reference)
    say(
        f"Against {count} tumour-free studies of {described.name} {described.version}, thresholds "
        f"{described.thresholds.version}; up to {rule.abnormal_share:.0%} of studies may be "
        f"abnormal; an alarm from p = {rule.significance:g} down."
    )
    if count < rule.minimum_studies:
        say(
            f"{count} studies are too few to say anything; with {rule.minimum_studies} of this "
            "site's own, `neurosieve thresholds calibrate` makes a reference that can."
        )


@app.command()
@one_sentence
def release(
    scanner: Annotated[
        str, typer.Argument(help="The scanner as `neurosieve drift` writes it, or a part of it.")
    ],
    config: ConfigOption = None,
    why: WhyOption = "",
) -> None:
    """Count the scores of a scanner anew from now on: an alarm ends, and nothing is held for it.

    Example: neurosieve drift release Achieva --why "the coil was changed"
    """
    from agent import bootstrap, drift_watch
    from agent.errors import ConfigurationError
    from storage import audit

    with opened.node(config) as node:
        _, watched = bootstrap.drift_watch(node.settings, node.database).look()
        known = {one.scanner for one in watched}
        meant = sorted(name for name in known if scanner.casefold() in name.casefold())
        if scanner in known:
            meant = [scanner]
        if len(meant) != 1:
            raise ConfigurationError(
                f"{scanner} may mean {', '.join(meant)}; write more of it."
                if meant
                else f"No scanner is called {scanner}; `neurosieve drift` lists those with scores."
            )
        with node.database.begin() as session:
            audit.append(
                session,
                who=who(),
                action=drift_watch.RELEASED,
                subject=meant[0],
                detail=why,
                now=datetime.now(UTC),
            )
    say(f"{meant[0]} is released; `neurosieve studies reprocess` reads what was held.")


def _row(one: "Watched") -> dict[str, object]:
    judged = asdict(one.judgement)
    return {
        "scanner": one.scanner,
        "month": one.month,
        "studies": one.studies,
        "median": one.median,
        "abnormal": one.abnormal_share,
        "D+": judged["too_high"],
        "D-": judged["too_low"],
        "p": judged["p_value"],
        "verdict": judged["verdict"].value,
    }
