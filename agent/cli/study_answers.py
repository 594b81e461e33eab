"""`neurosieve studies explain` and `replay`: how a result came about, and if it comes again."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from agent.cli import opened
from agent.cli.border import (
    ConfigOption,
    JsonOption,
    StudyArgument,
    one_sentence,
    print_json,
    say,
    show,
)

if TYPE_CHECKING:
    from agent.replay import Replayed
    from agent.study_facts import StudyFacts

SLICES = ("slice", "score", "p_value", "reached")


@one_sentence
def explain(study: StudyArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Explain a study's result: what was received and read, what decided, what was sent where.

    Example: neurosieve studies explain 2.25.2156
    """
    from agent import explanation, study_facts
    from storage import studies

    with opened.node(config) as node, node.database.read() as session:
        key = studies.find(session, study).key
        facts = study_facts.gather(session, node.folders, key)
    if as_json:
        print_json(_whole(facts))
        return
    say(f"Study {key}. RESEARCH USE ONLY.")
    for heading, sentences in explanation.explain(facts).items():
        say(f"\n{heading}")
        for sentence in sentences:
            say(f"  {sentence}")
    rows = explanation.slices(facts)
    if rows:
        say("")
        show(rows, columns=SLICES, title="Scores of the slices", as_json=False)


@one_sentence
def replay(study: StudyArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read a study again from what was stored, and compare bit for bit; exit 1 if it differs.

    It runs on the CPU, with the model and the thresholds of then, and changes nothing.

    Example: neurosieve studies replay 2.25.2156
    """
    from agent import bootstrap
    from agent import replay as again
    from storage import studies

    with opened.node(config) as node:
        with node.database.read() as session:
            key = studies.find(session, study).key
        done = again.replay(
            key,
            database=node.database,
            store=node.store,
            models=bootstrap.models_on_cpu(node.settings, node.database),
            rules=bootstrap.series_rules(node.settings),
        )
    if as_json:
        print_json(_compared(done) | {"study": key})
    else:
        _print(key, done)
    if done.differences:
        raise typer.Exit(1)


def _whole(facts: "StudyFacts") -> dict[str, object]:
    from agent import explanation, study_facts

    described = facts.described
    return {
        "study": asdict(facts.study),
        "series": [asdict(one) for one in facts.decisions],
        "analysis": asdict(facts.analysis) if facts.analysis else None,
        "thresholds": asdict(described.thresholds) if described else None,
        "threshold_set": asdict(facts.made) if facts.made else None,
        "operating_point": described.operating_point if described else None,
        "pattern_rule": asdict(described.pattern) if described else None,
        "slices": explanation.slices(facts),
        "lesions": [
            asdict(one) | {"mass_terms": study_facts.mass_terms(one, described)}
            for one in facts.lesions
        ],
        "objects": [asdict(one) for one in facts.objects],
        "deliveries": [asdict(one) for one in facts.deliveries],
        "marks": [asdict(one) for one in facts.marks],
        "trial": asdict(facts.trial) if facts.trial else None,
        "trial_lesions": [asdict(one) for one in facts.trial_lesions],
        "explanation": explanation.explain(facts),
    }


def _compared(done: "Replayed") -> dict[str, object]:
    return {
        "same": not done.differences,
        "model": f"{done.before.model_name}@{done.before.model_version}",
        "thresholds": done.before.threshold_version,
        "runtime_before": done.before.runtime,
        "runtime_now": done.runtime,
        "code_before": done.before.code_version,
        "tolerance": done.tolerance,
        "differences": [asdict(one) for one in done.differences],
    }


def _print(key: str, done: "Replayed") -> None:
    before = done.before
    model = f"{before.model_name} {before.model_version}, thresholds {before.threshold_version}"
    if done.runtime is None:
        say(f"{key} cannot be replayed: what was stored has changed.")
    elif done.differences:
        say(f"{key} differs ({model}; then {before.runtime}, now {done.runtime}).")
    elif done.tolerance is None:
        say(f"{key} is the same to the last bit ({model}, {done.runtime}).")
    else:
        say(
            f"{key} is the same: scores within {done.tolerance:.0%} of those of the GPU that read "
            f"it, and the same outcome ({model}, {done.runtime})."
        )
    for one in done.differences:
        say(f"  {one.what}: {one.before} before, {one.now} now")
