"""`neurosieve studies`: what was received, what became of it, and another try."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import study_answers, study_marks
from agent.cli.border import (
    ConfigOption,
    JsonOption,
    StudyArgument,
    one_sentence,
    print_facts,
    print_json,
    say,
    show,
    who,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from agent.bootstrap import Storage
    from storage.records import Analysis, Feedback, Study

app = typer.Typer(help="See studies and their reports, retry or cancel them.", no_args_is_help=True)
app.command("mark")(study_marks.mark)
app.command("explain")(study_answers.explain)
app.command("replay")(study_answers.replay)

COLUMNS = ("uid", "rev", "state", "images", "received", "outcome", "mark")
UID_END = 12  # characters that tell studies apart in a table, and that `show` takes


@app.command("list")
@one_sentence
def list_studies(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    state: Annotated[
        list[str] | None, typer.Option(help="Only these states, e.g. --state FAILED.")
    ] = None,
    marked: Annotated[
        str | None, typer.Option(help="Only studies with this newest mark, e.g. --marked normal.")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(
            help="Only studies that came before this one: the next page.", metavar="STUDY"
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(help="Only the first that came after this one.", metavar="STUDY"),
    ] = None,
) -> None:
    """List studies, newest first.

    Example: neurosieve studies list --marked lesion
    """
    from storage import feedback, results
    from storage import studies as stored
    from storage.enums import StudyState

    known = {one.value for one in StudyState}
    for name in state or []:
        if name not in known:
            raise typer.BadParameter(f"{name} is none of {', '.join(sorted(known))}.")
    states = [StudyState(name) for name in state] if state else None
    mark = study_marks.known(marked) if marked is not None else None
    if before is not None and after is not None:
        raise typer.BadParameter("Say --before or --after, not both.")
    storage = _open(config)
    with storage.database.read() as session:
        listed = stored.list_studies(
            session,
            states=states,
            mark=mark,
            limit=limit,
            older_than=stored.find(session, before) if before else None,
            newer_than=stored.find(session, after) if after else None,
        )
        said = feedback.newest(session, [study.study_uid for study in listed])
        rows = [
            _row(study, results.analysis_of(session, study.key), said.get(study.study_uid))
            for study in listed
        ]
    storage.database.close()
    if as_json:
        print_json(rows)
        return
    shortened = [_shortened(row) for row in rows]
    show(shortened, columns=COLUMNS, title="Studies", as_json=False)
    for row in shortened:  # a sentence has no room in a column
        if row["error"]:
            say(f"{row['uid']} revision {row['rev']}: {row['error']}")
    if len(listed) == limit:
        say(f"There may be older ones: --before {listed[-1].key}")


@app.command("show")
@one_sentence
def show_study(
    study: StudyArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show one study: series chosen and why, result, lesions, objects, deliveries, marks.

    Example: neurosieve studies show 2.25.2156
    """
    from storage import feedback, results
    from storage import studies as stored

    storage = _open(config)
    with storage.database.read() as session:
        found = stored.find(session, study)
        analysis = results.analysis_of(session, found.key)
        parts: dict[str, list[dict[str, object]]] = {
            "series": [asdict(one) for one in stored.series_decisions(session, found.key)],
            "lesions": [asdict(one) for one in results.lesions_of(session, found.key)],
            "objects": [asdict(one) for one in results.objects_of(session, found.key)],
            "deliveries": [asdict(one) for one in results.deliveries_of(session, found.key)],
            "marks": [asdict(one) for one in feedback.history(session, found.study_uid)],
        }
    storage.database.close()
    whole = {"study": asdict(found), "analysis": asdict(analysis) if analysis else None, **parts}
    if as_json:
        print_json(whole)
        return
    print_facts(f"Study {found.key}", asdict(found))
    if analysis:
        hidden = {"slice_scores", "slice_p_values"}
        facts = {name: value for name, value in asdict(analysis).items() if name not in hidden}
        print_facts("Analysis", facts)
    for title, columns in _PARTS.items():
        show(parts[title], columns=columns, title=title.capitalize(), as_json=False)


_PARTS = {
    "series": ("number", "modality", "instance_count", "chosen", "reason"),
    "lesions": ("number", "volume_ml", "diameter_mm", "side", "level", "mass_like", "slice_index"),
    "objects": ("role", "sop_uid", "size_bytes", "sha256"),
    "deliveries": ("destination", "sop_uid", "state", "attempts", "status", "error"),
    "marks": ("at", "mark", "revision", "by", "note"),
}


@app.command()
@one_sentence
def retry(study: StudyArgument, config: ConfigOption = None) -> None:
    """Queue a study again; what was already analysed and delivered is not repeated.

    Example: neurosieve studies retry 2.25.2156
    """
    from agent import audit_trail
    from agent.jobs import Jobs
    from storage import studies as stored

    storage = _open(config)
    jobs = Jobs(storage.database)
    with storage.database.begin() as session:
        found = stored.find(session, study)
        again = stored.retry(session, found.key, now=datetime.now(UTC))
        jobs.submit_analysis(session, again)
        _note(session, audit_trail.STUDY_RETRIED, again)
    jobs.close()
    storage.database.close()
    say(f"Queued {again.key}, attempt {again.attempt}.")


@app.command()
@one_sentence
def reprocess(
    study: StudyArgument,
    config: ConfigOption = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model folder to read it with; without it the configured model.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Read a study anew: a revision of its own, whose results name those they replace.

    Example: neurosieve studies reprocess 2.25.2156 --model candidate
    """
    from agent import audit_trail, bootstrap, settings
    from agent.jobs import Jobs
    from storage import studies as stored

    if model is not None:  # a folder that cannot be loaded is refused now, not in the worker
        bootstrap.load_model(bootstrap.with_model(settings.load(config), model))
    folder = str(model.absolute()) if model else None
    storage = _open(config)
    jobs = Jobs(storage.database)
    with storage.database.begin() as session:
        uid = stored.find(session, study).study_uid
        again = stored.open_again(session, uid, now=datetime.now(UTC), model_folder=folder)
        jobs.submit_analysis(session, again)
        _note(session, audit_trail.STUDY_REREAD, again)
    jobs.close()
    storage.database.close()
    say(f"Queued {again.key}.")


@app.command()
@one_sentence
def report(
    study: StudyArgument,
    config: ConfigOption = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page to this file instead of text.", show_default=False),
    ] = None,
) -> None:
    """Print the report of a study as it stands in the Structured Report.

    Example: neurosieve studies report 2.25.2156 --html report.html
    """
    from pydicom import dcmread

    from agent.dicom import report_page
    from storage import results
    from storage import studies as stored
    from storage.enums import Role
    from storage.errors import NotFound

    storage = _open(config)
    with storage.database.read() as session:
        found = stored.find(session, study)
        objects = results.objects_of(session, found.key)
    storage.database.close()
    reports = [item for item in objects if item.role is Role.REPORT]
    if not reports:
        raise NotFound(f"Study {found.key} is {found.state} and has no report yet.")
    document = dcmread(storage.store.path_of(reports[0].path))
    if html is None:
        say(report_page.as_text(document))
        return
    html.write_text(report_page.render(document), encoding="utf-8")
    say(f"Written to {html}. RESEARCH USE ONLY.")


@app.command()
@one_sentence
def cancel(
    study: StudyArgument,
    config: ConfigOption = None,
    why: Annotated[str, typer.Option(help="Kept with the study.")] = "cancelled by hand",
) -> None:
    """Stop a study at its next step; its images stay.

    Example: neurosieve studies cancel 2.25.2156 --why "sent twice"
    """
    from agent import audit_trail
    from agent.jobs import Jobs
    from storage import studies as stored

    storage = _open(config)
    jobs = Jobs(storage.database)
    with storage.database.begin() as session:
        found = stored.find(session, study)
        cancelled = stored.cancel(session, found.key, now=datetime.now(UTC), why=why)
        _note(session, audit_trail.STUDY_CANCELLED, cancelled, why)
    jobs.cancel(cancelled)
    jobs.close()
    storage.database.close()
    say(f"Cancelled {cancelled.key}.")


def _open(config: ConfigOption) -> "Storage":
    from agent import bootstrap, settings

    return bootstrap.open_storage(settings.load(config))


def _note(session: "Session", action: str, study: "Study", why: str = "") -> None:
    """Who asked for it; the last statement of its transaction, because others wait for it."""
    from storage import audit

    audit.append(
        session, who=who(), action=action, subject=study.key, detail=why, now=datetime.now(UTC)
    )


def _row(study: "Study", analysis: "Analysis | None", said: "Feedback | None") -> dict[str, object]:
    return {
        "study": study.key,
        "state": study.state.value,
        "priority": study.priority.value,
        "images": study.instance_count,
        "received": study.first_received_at.isoformat(timespec="seconds"),
        "outcome": analysis.outcome.value if analysis else None,
        "pattern": analysis.pattern if analysis else None,
        "score": analysis.study_score if analysis else None,
        "mark": said.mark.value if said else None,
        "error": study.error or (analysis.reason if analysis else None),
    }


def _shortened(row: dict[str, object]) -> dict[str, object]:
    """What fits into a terminal; `--json` has everything."""
    uid, _, revision = str(row["study"]).rpartition("#")
    received = datetime.fromisoformat(str(row["received"])).astimezone()
    urgent = " STAT" if row["priority"] == "STAT" else ""
    return row | {
        "uid": f"…{uid[-UID_END:]}",
        "rev": revision,
        "state": f"{row['state']}{urgent}",
        "received": f"{received:%m-%d %H:%M}",
    }
