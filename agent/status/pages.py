"""The pages: each gathers what it shows and fills its template."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from agent import audit_trail, model_toml
from agent.errors import AgentError
from agent.status import alarms, gate, health, metrics, study_view, trends, workers
from agent.status.node_view import Guard, Site, now
from agent.status.sessions import Sessions
from agent.status.slices import Slices, View
from storage import activations, figures, registry, studies, thresholds, training
from storage.enums import Mark, StudyState
from storage.errors import NotFound, StorageError
from storage.model_records import ModelVersion
from storage.records import Study, StudyKey

PAGE_SIZE = 20
_STATES = frozenset(map(str, StudyState))
MARKING = "RESEARCH USE ONLY – NOT FOR DIAGNOSIS"
_SCANNER_DAYS = 90


class Pages:
    """Answers of the site; every method takes a request and reads what it needs."""

    def __init__(self, site: Site, guard: Guard, sessions: Sessions) -> None:
        self.site = site
        self._guard = guard
        self._sessions = sessions
        self._slices = Slices(site.database, site.store)
        self._templates = Environment(
            loader=PackageLoader("agent.status"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            commands=_commands,
            when=_when,
            ago=_ago,
            number=_number,
            gb=alarms.gb,
            state=_state,
            seconds=_seconds,
        )

    def overview(self, request: Request) -> Response:
        """Is it well?"""
        moment = now()
        site = self.site
        found = alarms.find(site, moment)  # also when the database is away
        try:
            with site.database.read() as session:
                latest = [
                    study_view.line(site, session, one)
                    for one in studies.list_studies(session, limit=5)
                ]
                told: dict[str, Any] = {
                    "states": site.counts.by_state(session),
                    "waiting_since": figures.oldest_waiting(session),
                    "day": trends.last_day(session, moment),
                    "week": trends.last_week(session, moment),
                    "deliveries": site.counts.deliveries(session),
                    "current": activations.in_force(session),
                    "shadow": registry.shadow(session),
                    "latest": latest,
                }
        except StorageError:
            told = {}
        room = site.store.room()
        return self.page(
            request,
            "overview.html",
            alarms=found,
            known=bool(told),
            free=room.free_bytes,
            reserve=room.kept_bytes,
            workers=workers.seen(site.store.root, site.database),
            places=site.places,
            live=True,
            **told,
        )

    def list_studies(self, request: Request) -> Response:
        """A page of studies: the latest, or those before or after the study that is named."""
        wanted = request.query_params.get("state", "")
        states = [StudyState(wanted)] if wanted in _STATES else None
        with self.site.database.read() as session:
            older_than = _named(session, request, "before")
            newer_than = None if older_than else _named(session, request, "after")
            found = studies.list_studies(
                session,
                states=states,
                limit=PAGE_SIZE + 1,
                older_than=older_than,
                newer_than=newer_than,
            )
            shown = found[-PAGE_SIZE:] if newer_than else found[:PAGE_SIZE]
            lines = [study_view.line(self.site, session, one) for one in shown]
        more = len(found) > PAGE_SIZE
        return self.page(
            request,
            "studies.html",
            lines=lines,
            states=list(StudyState),
            wanted=wanted if states else "",
            newer=bool(older_than) or (bool(newer_than) and more),
            older=bool(newer_than) or more,
            live=True,
        )

    def one_study(self, request: Request) -> Response:
        """Everything about one revision."""
        with self.site.database.read() as session:
            told = study_view.whole(self.site, session, key_of(request))
        if self.site.show_patient_names:
            who = request.state.visitor.user or "status page"
            self.site.tell(who, audit_trail.NAMES_SEEN, told.line.study.key)
        analysis = told.line.analysis
        scores = analysis.slice_scores if analysis else ()
        best = scores.index(max(scores)) if scores else 0
        chosen = _whole(request.query_params.get("slice", str(best + 1))) - 1
        return self.page(
            request,
            "study.html",
            told=told,
            scores=scores,
            slice=min(max(chosen, 0), max(len(scores) - 1, 0)),
            views=list(View),
            marks=list(Mark),
        )

    def model(self, request: Request) -> Response:
        """What reads studies, what did, and what could."""
        with self.site.database.read() as session:
            current = activations.in_force(session)
            history = activations.history(session, limit=50)
            versions = registry.list_versions(session)
            sets = {
                one.thresholds: thresholds.get(session, one.thresholds)
                for one in history
                if one.thresholds is not None
            }
        active = next((one for one in versions if current and one.label == current.label), None)
        return self.page(
            request,
            "model.html",
            current=current,
            limits=self._limits(current, active, sets),
            shadow=next((one for one in versions if one.shadow), None),
            history=history,
            sets=sets,
            versions=versions,
            pictures=[(active, name) for name in self._pictures(active)] if active else [],
        )

    def _limits(self, current: Any, active: ModelVersion | None, sets: dict[int, Any]) -> Any:
        if current is not None and current.thresholds in sets:
            return sets[current.thresholds]
        try:
            return model_toml.describe(self.site.folder_of(active)).thresholds if active else None
        except AgentError:
            return None

    def _pictures(self, version: ModelVersion) -> list[str]:
        folder = self.site.folder_of(version) / "figures"
        return sorted(file.name for file in folder.glob("*.png")) if folder.is_dir() else []

    def trainings(self, request: Request) -> Response:
        """Trainings and how far they are."""
        with self.site.database.read() as session:
            runs = training.list_runs(session)
        return self.page(request, "trainings.html", runs=runs, live=True)

    def drift(self, request: Request) -> Response:
        """Scores scanner by scanner."""
        with self.site.database.read() as session:
            scores = figures.scanner_scores(session, now() - timedelta(days=_SCANNER_DAYS))
        scanners: dict[str, list[figures.ScannerScore]] = {}
        for one in scores:
            scanners.setdefault(one.scanner, []).append(one)
        return self.page(
            request,
            "drift.html",
            scanners=scanners,
            sentences=self.site.drift(),
            days=_SCANNER_DAYS,
        )

    def destinations(self, request: Request) -> Response:
        """Where results go, and how that goes."""
        with self.site.database.read() as session:
            counts = self.site.counts.deliveries(session)
        return self.page(
            request, "destinations.html", places=self.site.places, deliveries=counts, live=True
        )

    def picture(self, request: Request) -> Response:
        """One slice."""
        name = request.path_params["view"]
        if name not in frozenset(map(str, View)):
            raise HTTPException(404)
        index = request.path_params["number"] - 1
        return _png(partial(self._slices.png, key_of(request), index, View(name)))

    def thumbnail(self, request: Request) -> Response:
        """The slice with the highest score, small."""
        return _png(partial(self._slices.thumbnail, key_of(request)))

    def figure(self, request: Request) -> Response:
        """A picture of a model's training."""
        names = request.path_params
        with self.site.database.read() as session:
            version = registry.get(session, names["name"], names["version"])
        if names["file"] not in self._pictures(version):
            raise HTTPException(404)
        return FileResponse(self.site.folder_of(version) / "figures" / names["file"])

    def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        return Response(metrics.scrape(self.site), media_type="text/plain; version=1.0.0")

    def ready(self, request: Request) -> Response:
        """Whether studies may be sent here."""
        well = health.is_ready(self.site)
        return PlainTextResponse(
            "ok\n" if well else "not ready\n", status_code=200 if well else 503
        )

    def page(self, request: Request, template: str, *, code: int = 200, **told: Any) -> Response:
        """A filled template, with what every page needs."""
        visitor: gate.Visitor = request.state.visitor
        text = self._templates.get_template(template).render(
            site=self.site,
            path=request.url.path,
            marking=MARKING,
            made_at=now(),
            user=visitor.user,
            login=self._guard.users is not None,
            token=self._sessions.token(visitor.session),
            **{"live": False} | told,
        )
        return HTMLResponse(text, status_code=code)


def key_of(request: Request) -> StudyKey:
    """The study that an address names."""
    return StudyKey(f"{request.path_params['uid']}#{request.path_params['revision']}")


def _named(session: Session, request: Request, parameter: str) -> Study | None:
    """The study that a query parameter names. Raises NotFound."""
    key = request.query_params.get(parameter)
    return studies.get(session, StudyKey(key)) if key else None


def _png(draw: Callable[[], bytes]) -> Response:
    try:
        return Response(draw(), media_type="image/png")
    except (AgentError, NotFound, ValueError) as error:
        raise HTTPException(404, "There is no picture of this slice.") from error


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 1


def _commands(text: str) -> Markup:
    """Words between backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else "–"


def _ago(moment: datetime | None) -> str:
    return f"{alarms.words(now() - moment)} ago" if moment else "–"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else alarms.words(timedelta(seconds=value))


def _state(value: str) -> str:
    return value.replace("_", " ").capitalize()


STATIC = Path(__file__).parent / "static"
