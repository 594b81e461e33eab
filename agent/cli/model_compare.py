"""`neurosieve models compare`: the active model and the one on trial, on the studies both read."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import opened
from agent.cli.border import ConfigOption, JsonOption, one_sentence, print_json, say, show

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from agent.model_comparison import LesionPair, Pair
    from storage.model_records import ModelVersion
    from storage.records import Lesion

LESIONS = ("study", "ours", "theirs")
SHORT = 12  # characters of a study UID in a table


@one_sentence
def compare(
    model: Annotated[
        str | None,
        typer.Argument(help="The model to look at; without it the one on trial."),
    ] = None,
    against: Annotated[
        str | None, typer.Option("--with", help="The other one; without it the active model.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many studies, newest first.")] = 1000,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two models on the studies that both read: verdicts, scores, lesions, marks.

    Example: neurosieve models compare
    """
    with opened.node(config) as node, node.database.read() as session:
        ours, theirs = _wanted(session, model, against)
        pairs = _pairs(session, ours, theirs)[:limit]
        way_on = _way_on(session, ours, theirs)
    if as_json:
        print_json(_facts(ours, theirs, pairs))
    elif pairs:
        _tell(ours, theirs, pairs)
    else:
        say(f"No study was read by both {ours.label} and {theirs.label} yet: {way_on}")


def _wanted(
    session: "Session", model: str | None, against: str | None
) -> "tuple[ModelVersion, ModelVersion]":
    from agent.errors import ConfigurationError
    from storage import registry

    ours = opened.wanted(session, against)
    theirs = registry.find(session, model) if model else registry.shadow(session)
    if theirs is None:
        raise ConfigurationError(
            "No model is on trial: put one there with `neurosieve models shadow MODEL`, or name "
            "one that was."
        )
    if theirs.label == ours.label:
        raise ConfigurationError(f"{ours.label} is the same model twice; name another with --with.")
    return ours, theirs


def _way_on(session: "Session", ours: "ModelVersion", theirs: "ModelVersion") -> str:
    """What brings studies that both read: one of them active, the other on trial."""
    from agent import models_in_use
    from storage import registry

    active, trial = models_in_use.in_force(session)[0], registry.shadow(session)
    labels = {ours.label, theirs.label}
    if active.label not in labels:
        return (
            f"activate one of them with `neurosieve models activate {theirs.label}`, and try the "
            f"other with `neurosieve models shadow {ours.label}`."
        )
    (other,) = labels - {active.label}
    if trial is None or trial.label != other:
        return f"`neurosieve models shadow {other}` lets it read every study to come as well."
    return (
        f"{other} is on trial and reads every study to come; `neurosieve studies reprocess STUDY` "
        "lets both read one that is here already."
    )


def _pairs(session: "Session", ours: "ModelVersion", theirs: "ModelVersion") -> "list[Pair]":
    from agent.model_comparison import Pair
    from storage import feedback, rows, verdicts

    pairs = []
    for key, swapped in verdicts.read_by_both(session, ours, theirs):
        said = verdicts.analysis_of(session, key, shadow=swapped)
        tried = verdicts.analysis_of(session, key, shadow=not swapped)
        newest = feedback.latest(session, rows.split(key)[0])
        assert said is not None  # read_by_both names those that have both
        assert tried is not None
        pairs.append(
            Pair(
                key=key,
                ours=said,
                theirs=tried,
                our_lesions=verdicts.lesions_of(session, key, shadow=swapped),
                their_lesions=verdicts.lesions_of(session, key, shadow=not swapped),
                mark=newest.mark if newest else None,
            )
        )
    return pairs


def _facts(ours: "ModelVersion", theirs: "ModelVersion", pairs: "list[Pair]") -> dict[str, object]:
    from agent import calibration, model_comparison

    count, same = len(pairs), model_comparison.agreeing(pairs)
    scores = model_comparison.scores_of_both(pairs)
    sides = {"ours": [one for one, _ in scores], "theirs": [one for _, one in scores]}
    return {
        "ours": ours.label,
        "theirs": theirs.label,
        "studies": count,
        "agreeing": same,
        "agreement_interval": calibration.wilson(same, count),
        "kappa": model_comparison.kappa(pairs),
        "verdicts": [
            {"ours": one, "theirs": other, "studies": number}
            for (one, other), number in sorted(model_comparison.agreement(pairs).items())
        ],
        "score_quantiles": {
            side: model_comparison.quantiles(found) for side, found in sides.items()
        },
        "rank_correlation": model_comparison.correlation(pairs),
        "against_marks": [
            {"model": label, "marked": mark, "abnormal": called, "studies": total}
            for label, theirs_side in ((ours.label, False), (theirs.label, True))
            for mark, (called, total) in sorted(
                model_comparison.against_marks(pairs, theirs=theirs_side).items()
            )
        ],
        "lesions": [
            {
                "study": one.key,
                "ours": asdict(one.ours) if one.ours else None,
                "theirs": asdict(one.theirs) if one.theirs else None,
            }
            for one in _lesions(pairs)
        ],
    }


def _tell(ours: "ModelVersion", theirs: "ModelVersion", pairs: "list[Pair]") -> None:
    from agent import calibration, model_comparison

    count, same = len(pairs), model_comparison.agreeing(pairs)
    low, high = calibration.wilson(same, count)
    kappa, rank = model_comparison.kappa(pairs), model_comparison.correlation(pairs)
    say(f"ours: {ours.label}    theirs: {theirs.label}    studies read by both: {count}")
    say(
        f"The same verdict in {same} of {count} ({low:.2f} to {high:.2f})"
        f"{'' if kappa is None else f', kappa {kappa:.2f}'}"
        f"{'' if rank is None else f'; rank correlation of the scores {rank:.2f}'}."
    )
    show(
        [
            {"ours": one, "theirs": other, "studies": number}
            for (one, other), number in sorted(model_comparison.agreement(pairs).items())
        ],
        columns=("ours", "theirs", "studies"),
        title="Verdicts",
        as_json=False,
    )
    _show_scores(pairs)
    _show_marks(ours, theirs, pairs)
    rows = [
        {"study": f"…{one.key[-SHORT - 2 :]}", "ours": _word(one.ours), "theirs": _word(one.theirs)}
        for one in _lesions(pairs)
    ]
    show(rows, columns=LESIONS, title="Lesions side by side", as_json=False)


def _show_scores(pairs: "list[Pair]") -> None:
    from agent import model_comparison

    names = ("lowest", "quarter", "median", "three_quarters", "highest")
    sides = zip(*model_comparison.scores_of_both(pairs), strict=True)
    rows: list[dict[str, object]] = [
        {"model": label} | dict(zip(names, model_comparison.quantiles(scores), strict=True))
        for label, scores in zip(("ours", "theirs"), sides, strict=False)
    ]
    show(rows, columns=("model", *names), title="Study scores", as_json=False)


def _show_marks(ours: "ModelVersion", theirs: "ModelVersion", pairs: "list[Pair]") -> None:
    from agent import calibration, model_comparison

    rows: list[dict[str, object]] = []
    for label, side in ((ours.label, False), (theirs.label, True)):
        for mark, (called, total) in model_comparison.against_marks(pairs, theirs=side).items():
            low, high = calibration.wilson(called, total)
            row: dict[str, object] = {"model": label, "marked": mark}
            row |= {"abnormal": f"{called} of {total}", "interval": f"{low:.2f} to {high:.2f}"}
            rows.append(row)
    if rows:
        columns = ("model", "marked", "abnormal", "interval")
        show(rows, columns=columns, title="Against radiologists' marks", as_json=False)


def _lesions(pairs: "list[Pair]") -> "list[LesionPair]":
    from agent import model_comparison

    return [one for pair in pairs for one in model_comparison.lesions_side_by_side(pair)]


def _word(lesion: "Lesion | None") -> str:
    if lesion is None:
        return "nothing there"
    kind = ", mass-like" if lesion.mass_like else ""
    return f"{lesion.volume_ml:.1f} ml, slice {lesion.slice_index + 1}{kind}"
