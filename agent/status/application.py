"""Puts the site together: addresses, login, marks, errors."""

import asyncio
import logging
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from agent import audit_trail, marking
from agent.status import gate, pages, users
from agent.status.gate import Gate
from agent.status.known_hosts import KnownHosts
from agent.status.node_view import Guard, Site, now
from agent.status.pages import Pages
from agent.status.sessions import Sessions
from storage import studies
from storage.enums import Mark
from storage.errors import NotFound, StorageError

logger = logging.getLogger(__name__)

_MOST_NOTE = 2000  # characters
_STUDY = "/studies/{uid}/{revision:int}"


def build(site: Site, guard: Guard) -> Starlette:
    """The whole application."""
    sessions = Sessions(seconds=guard.session_seconds)
    shown = Pages(site, guard, sessions)
    doors = Doors(pages=shown, guard=guard, sessions=sessions)
    errors = _Errors(shown)
    return Starlette(
        routes=[
            Route("/", shown.overview),
            Route("/studies", shown.list_studies),
            Route(_STUDY, shown.one_study),
            Route(_STUDY + "/mark", doors.mark, methods=["POST"]),
            Route(_STUDY + "/thumbnail.png", shown.thumbnail),
            Route(_STUDY + "/slices/{number:int}/{view}.png", shown.picture),
            Route("/model", shown.model),
            Route("/model/{name}/{version}/figures/{file}", shown.figure),
            Route("/trainings", shown.trainings),
            Route("/drift", shown.drift),
            Route("/destinations", shown.destinations),
            Route("/login", doors.show_login, methods=["GET"]),
            Route("/login", doors.sign_in, methods=["POST"]),
            Route("/logout", doors.sign_out, methods=["POST"]),
            Route("/metrics", shown.metrics),
            Route("/healthz", _alive),
            Route("/readyz", shown.ready),
            Mount("/static", StaticFiles(directory=pages.STATIC)),
        ],
        middleware=[
            Middleware(KnownHosts, allowed_hosts=list(guard.hosts), guard=guard),
            Middleware(Gate, guard=guard, sessions=sessions),
        ],
        exception_handlers={
            HTTPException: errors.refused,
            NotFound: errors.missing,
            StorageError: errors.unavailable,
        },
    )


@dataclass(frozen=True, kw_only=True)
class Doors:
    """What changes something: signing in and out, and marking a study."""

    pages: Pages
    guard: Guard
    sessions: Sessions

    def show_login(self, request: Request) -> Response:
        """The form to sign in."""
        if self.guard.users is None or request.state.visitor.user is not None:
            return RedirectResponse("/", status_code=303)
        nobody = not users.names(self.guard.users)
        problem = "Nobody can sign in yet: run `neurosieve users add NAME`." if nobody else ""
        return self.pages.page(request, "login.html", problem=problem)

    async def sign_in(self, request: Request) -> Response:
        """Begin a session, under a new name."""
        fields = await gate.checked_form(request, self.sessions)
        file = self.guard.users
        if file is None:
            return RedirectResponse("/", status_code=303)
        name, address = fields.get("name", ""), request.client.host if request.client else ""
        if not self.sessions.may_try(address):
            problem = "Too many wrong passwords from this address; wait a quarter of an hour."
            return self.pages.page(request, "login.html", problem=problem, code=429)
        password = fields.get("password", "")[:1000]
        if not await asyncio.to_thread(users.check, file, name, password):
            self.sessions.note_wrong(address)
            # A name that is none may be a password in the wrong field.
            known = name if name in users.names(file) else "somebody unknown"
            self.pages.site.tell(known, audit_trail.SIGN_IN_FAILED, address)
            logger.warning("A sign-in failed", extra={"action": "sign_in_failed"})
            await asyncio.sleep(self.guard.login_seconds)
            problem = "User name or password is wrong."
            return self.pages.page(request, "login.html", problem=problem, code=401)
        self.pages.site.tell(name, audit_trail.SIGNED_IN, address)
        response = RedirectResponse("/", status_code=303)
        self.sessions.end(request.state.visitor.session)
        self._give(request, response, self.sessions.begin(name))
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        await gate.checked_form(request, self.sessions)
        user, address = request.state.visitor.user, request.client.host if request.client else ""
        if user is not None:
            self.pages.site.tell(user, audit_trail.SIGNED_OUT, address)
        self.sessions.end(request.state.visitor.session)
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(gate.COOKIE)
        return response

    async def mark(self, request: Request) -> Response:
        """Keep what a radiologist says of a study."""
        fields = await gate.checked_form(request, self.sessions)
        wanted, note = fields.get("mark", ""), fields.get("note", "").strip()
        if wanted not in frozenset(map(str, Mark)):
            raise HTTPException(400, "Choose one of the marks.")
        if len(note) > _MOST_NOTE:
            raise HTTPException(400, f"A note has at most {_MOST_NOTE} characters.")
        await asyncio.to_thread(self._keep, request, Mark(wanted), note)
        return RedirectResponse(request.url.path.removesuffix("/mark") + "#marks", status_code=303)

    def _keep(self, request: Request, wanted: Mark, note: str) -> None:
        who = request.state.visitor.user or "status page"
        moment = now()
        with self.pages.site.database.begin() as session:
            study = studies.get(session, pages.key_of(request))
            marking.mark(session, study, wanted, note=note, by=who, now=moment)

    def _give(self, request: Request, response: Response, session: str) -> None:
        gate.set_cookie(response, session, self.guard, secure=request.url.scheme == "https")


@dataclass(frozen=True)
class _Errors:
    """Errors as pages."""

    pages: Pages

    def refused(self, request: Request, error: Exception) -> Response:
        """What a page refused by itself."""
        assert isinstance(error, HTTPException)
        return self._page(request, error.status_code, str(error.detail))

    def missing(self, request: Request, error: Exception) -> Response:
        """No such study, model or file."""
        return self._page(request, 404, "This is not here, or no more.")

    def unavailable(self, request: Request, error: Exception) -> Response:
        """The database does not answer."""
        logger.error("The status page: %s", error, extra={"action": "status_page_error"})
        return self._page(request, 503, "The database does not answer; the log says why.")

    def _page(self, request: Request, code: int, text: str) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(f"{text}\n", status_code=code)
        return self.pages.page(request, "problem.html", code=code, status=code, text=text)


def _alive(request: Request) -> Response:
    return PlainTextResponse("ok\n")
