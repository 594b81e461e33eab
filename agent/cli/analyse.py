"""`neurosieve analyse`: one study from disk, without a node."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.border import ConfigOption, one_sentence, problems, say

if TYPE_CHECKING:
    from agent.imaging.results import Findings, NotAnalysed


@one_sentence
def analyse(
    path: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="A DICOM folder or file, a NIfTI volume, a folder of 2D images or one image.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where the results are put.")],
    model: Annotated[
        Path | None,
        typer.Option(help="Model folder; without it the configured one.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Analyse one study: slices.csv, study.json, maps, overlays and, for DICOM, result objects.

    Example: neurosieve analyse study --out results
    """
    import uuid

    from rich.progress import Progress

    from agent import bootstrap, logs, offline, settings

    values = settings.load(config)
    logs.configure(level="WARNING", as_json=False)
    if model is not None:
        values = bootstrap.with_model(values, model)
    with Progress(console=problems, transient=True) as bar:
        task = bar.add_task("Analysing", total=1.0)
        results = offline.analyse(
            path,
            out,
            bootstrap.load_model(values),
            rules=bootstrap.series_rules(values),
            appearance=bootstrap.appearance(values, uuid.uuid4()),
            progress=lambda done: bar.update(task, completed=done),
        )
    _print(results, out)


_PATTERNS = {
    "NONE": "",
    "MASS_LIKE": ", mass-like anomaly",
    "WHITE_MATTER": ", white-matter changes, no mass-like region",
}


def _print(results: "list[Findings | NotAnalysed]", out: Path) -> None:
    from agent.imaging.results import Findings, NotAnalysed, Pattern

    found = [result for result in results if isinstance(result, Findings)]
    refused = [result for result in results if isinstance(result, NotAnalysed)]
    for result in found if len(found) == 1 else []:
        verdict = "ABNORMAL" if result.abnormal else "no abnormality detected by the model"
        say(
            f"{verdict}{_PATTERNS[result.pattern.value]}: study score {result.study_score:.3g}, "
            f"p = {result.study_p_value:.2g}, {len(result.regions)} lesion(s), "
            f"{int(result.slice_anomalous.sum())} of {len(result.slice_scores)} slices anomalous."
        )
        for remark in result.remarks:
            say(remark)
    if len(found) > 1:
        abnormal = sum(result.abnormal for result in found)
        mass_like = sum(result.pattern is Pattern.MASS_LIKE for result in found)
        say(f"{abnormal} of {len(found)} images abnormal, {mass_like} with a mass-like region.")
    say(f"Written to {out}. RESEARCH USE ONLY.")
    for one in refused[:5]:
        say(f"Not analysed ({one.reason}): {one.sentence}", on=problems)
    if not found:
        raise typer.Exit(1)
