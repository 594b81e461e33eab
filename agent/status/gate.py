"""What every request passes: hosts, security headers, the session, the login, form tokens."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp

from agent.status.node_view import Guard
from agent.status.sessions import Sessions, fresh_name

COOKIE = "neurosieve_session"
MOST_BYTES = 64 * 1024  # of a form
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_OPEN = frozenset({"/healthz", "/readyz", "/login"})  # and the style sheet

Next = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Who asks: the session's name and, once signed in, the user."""

    session: str
    user: str | None


class Gate(BaseHTTPMiddleware):
    """Lets a request through to the pages, or not."""

    def __init__(self, app: ASGIApp, *, guard: Guard, sessions: Sessions) -> None:
        super().__init__(app)
        self._guard = guard
        self._sessions = sessions

    async def dispatch(self, request: Request, call_next: Next) -> Response:
        """Look at the visitor first, and put the headers on whatever is answered."""
        name = request.cookies.get(COOKIE, "")
        known = name if 32 <= len(name) <= 64 and name.isascii() else ""
        visitor = Visitor(session=known or fresh_name(), user=self._sessions.user(known))
        request.state.visitor = visitor
        response = self._refusal(request) or await call_next(request)
        if not known and request.url.path not in ("/healthz", "/readyz", "/metrics"):
            self.remember(response, visitor.session)
        for header, value in HEADERS.items():
            response.headers.setdefault(header, value)
        return response

    def remember(self, response: Response, session: str) -> None:
        """Give the browser its session, unless a page has given it another."""
        if COOKIE not in response.headers.get("set-cookie", ""):
            set_cookie(response, session, self._guard, secure=False)

    def _refusal(self, request: Request) -> Response | None:
        if request.method == "POST" and not _is_small(request):
            return PlainTextResponse("too large\n", status_code=413)
        path = request.url.path
        if self._guard.users is None or path in _OPEN or path == "/static/status.css":
            return None
        if request.state.visitor.user is not None:
            return None
        if path == "/metrics" and _bears(request, self._guard):
            return None
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/login", status_code=303)
        return PlainTextResponse("sign in first\n", status_code=401)


def set_cookie(response: Response, session: str, guard: Guard, *, secure: bool) -> None:
    """Name the session to the browser, and to nobody else."""
    response.set_cookie(
        COOKIE,
        session,
        httponly=True,
        samesite="strict",
        secure=secure or guard.secure_cookie,
        max_age=int(guard.session_seconds),
    )


async def checked_form(request: Request, sessions: Sessions) -> dict[str, str]:
    """The fields of a form that we gave to this very visitor; 403 for any other."""
    form = await request.form(max_files=0, max_fields=20)
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if not sessions.is_token(request.state.visitor.session, fields.get("token", "")):
        raise HTTPException(403, "This form has expired; load the page again.")
    return fields


def _is_small(request: Request) -> bool:
    """Whether the body says that it is one of our forms' size; a chunked one says nothing."""
    length = request.headers.get("content-length", "")
    return length.isdecimal() and int(length) <= MOST_BYTES


def _bears(request: Request, guard: Guard) -> bool:
    if guard.metrics_token_file is None:
        return False
    try:
        token = guard.metrics_token_file.read_text(encoding="utf-8").strip()
    except OSError:
        return False
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return bool(token) and scheme.lower() == "bearer" and same
