"""The command `neurosieve-train prepare`; everything heavy is imported inside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_training.prepare.classes import ABNORMAL, NORMAL
from model_training.prepare.kinds import Kind, MrSequence

if TYPE_CHECKING:
    from model_training.prepare.preparation import Outcome
    from model_training.prepare.request import Request

Source = Annotated[Path, typer.Argument(help="Folder with DICOM, NIfTI or 2D images.")]
Out = Annotated[Path, typer.Option(help="The collection to write; an earlier one is replaced.")]
KindOption = Annotated[Kind, typer.Option(help="What the source holds.")]
SequenceOption = Annotated[
    MrSequence | None,
    typer.Option(
        case_sensitive=False,
        help="The sequence to read: FLAIR by default, whatever there is from 2D images.",
        show_default=False,
    ),
]
Abnormal = Annotated[
    list[str] | None,
    typer.Option(help=f"Folder names that say abnormal; by default {', '.join(ABNORMAL)}."),
]
Normal = Annotated[
    list[str] | None,
    typer.Option(help=f"Folder names that say normal; by default {', '.join(NORMAL)}."),
]
AllNormal = Annotated[
    bool,
    typer.Option("--all-normal", help="Whatever no folder, table or mask speaks of is normal."),
]
AnyLabel = Annotated[bool, typer.Option("--any-label", help="Every mask value above 0 is lesion.")]
GroupsOption = Annotated[
    Path | None, typer.Option(help="CSV of file,group: what must stay in one split.")
]
SplitFile = Annotated[
    Path | None,
    typer.Option(help="CSV of subject,split; without it the split.csv of the source, if any."),
]
SharesOption = Annotated[
    tuple[float, float, float], typer.Option(help="Shares of train, calibration and test.")
]
Seed = Annotated[int, typer.Option(help="Another seed deals other splits.")]
Private = Annotated[
    Path | None,
    typer.Option(
        help="DICOM only: folder for the secret behind the pseudonyms and for what they stand "
        "for. By default beside the collection, with .private at the end of its name.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def prepare(
    source: Source,
    out: Out,
    kind: KindOption = Kind.AUTO,
    sequence: SequenceOption = None,
    abnormal_folder: Abnormal = None,
    normal_folder: Normal = None,
    all_normal: AllNormal = False,
    any_label: AnyLabel = False,
    groups: GroupsOption = None,
    split_file: SplitFile = None,
    shares: SharesOption = (0.6, 0.15, 0.25),
    seed: Seed = 0,
    private: Private = None,
    as_json: Json = False,
) -> None:
    """Check somebody's MRI data and write a collection that training can read."""
    from agent.errors import AgentError
    from model_training.prepare.classes import FolderClasses
    from model_training.prepare.request import Request

    out = out if out.name else out.resolve()
    classes = FolderClasses(
        abnormal=tuple(abnormal_folder or ABNORMAL), normal=tuple(normal_folder or NORMAL)
    )
    try:
        request = Request(
            source=source,
            out=out,
            kind=kind,
            sequence=sequence,
            classes=classes,
            all_normal=all_normal,
            any_label=any_label,
            groups_file=groups,
            split_file=split_file,
            shares=shares,
            seed=seed,
            private=private or out.with_name(f"{out.name}.private"),
        )
        outcome = _prepared(request)
    except (AgentError, OSError) as error:
        raise _failed(str(error)) from error
    _tell(outcome, out, as_json=as_json)


def _prepared(request: "Request") -> "Outcome":
    """The work, with a bar on standard error where somebody watches."""
    from rich.console import Console
    from rich.progress import Progress

    from model_training.prepare import preparation

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Reading and checking", total=1.0)
        return preparation.prepare(request, lambda share: bar.update(task, completed=share))


def _tell(outcome: "Outcome", out: Path, *, as_json: bool) -> None:
    from rich.console import Console

    from model_training.prepare import summary

    if as_json:
        typer.echo(summary.as_json(outcome, out))
    else:
        summary.show(outcome, Console())
    if not outcome.entries:
        raise _failed("Nothing in the source can be used; the reasons are given above.")
    if not as_json:
        count = len(outcome.entries)
        typer.echo(
            f"{count} subject is in {out}." if count == 1 else f"{count} subjects are in {out}."
        )


def _failed(sentence: str) -> typer.Exit:
    typer.echo(f"neurosieve-train: {sentence}", err=True)
    return typer.Exit(1)
