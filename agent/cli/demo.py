"""`neurosieve demo`: the main job on one bundled study."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.border import one_sentence, problems, say, show

if TYPE_CHECKING:
    from agent.demo.run import Outcome


@one_sentence
def demo(
    out: Annotated[Path, typer.Option(help="Where the results are put.")] = Path("demo-out"),
) -> None:
    """Send a bundled study from a simulated PACS to a throw-away node and show what comes back.

    Example: neurosieve demo --out demo-out
    """
    from agent import logs
    from agent.demo import folder, run

    logs.configure(level="WARNING", as_json=False)
    received = out / "dicom"
    for old in received.glob("*.dcm"):  # of an earlier demonstration
        old.unlink()
    with problems.status("Starting…") as status:
        outcome = run.run(received, say=status.update)
    folder.write(out, outcome)
    _print(outcome, out)


def _print(outcome: "Outcome", out: Path) -> None:
    from collections import Counter

    analysis = outcome.analysis
    kinds = Counter(one.role.value for one in outcome.objects)
    show(
        [{"object": role, "count": count} for role, count in kinds.items()],
        columns=("object", "count"),
        title=f"Back at the PACS ({outcome.study.state})",
        as_json=False,
    )
    show(
        [
            {
                "lesion": one.number,
                "volume_ml": one.volume_ml,
                "diameter_mm": one.diameter_mm,
                "mass_like": one.mass_like,
                "peak_score": one.peak_score,
                "slice": one.slice_index + 1,
            }
            for one in outcome.lesions
        ],
        columns=("lesion", "volume_ml", "diameter_mm", "mass_like", "peak_score", "slice"),
        title=f"{analysis.outcome}, pattern {analysis.pattern}: "
        f"study score {analysis.study_score:.3g}, p = {analysis.study_p_value:.2g} "
        f"({analysis.model_name} {analysis.model_version})",
        as_json=False,
    )
    show(
        [{"stage": name, "seconds": value} for name, value in outcome.seconds.items()],
        columns=("stage", "seconds"),
        title="Time",
        as_json=False,
    )
    say(f"Look at {out}/heatmap.png, {out}/report.html and {out}/dicom. RESEARCH USE ONLY.")
