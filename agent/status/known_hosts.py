"""Under which names the page answers; against names that a stranger lets point at us."""

from collections.abc import Sequence

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.status.node_view import Guard

PROBES = frozenset({"/healthz", "/readyz"})


class KnownHosts(TrustedHostMiddleware):
    """Refuses any other `Host`, but for what monitoring asks by an address that nobody foresaw."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Sequence[str], guard: Guard) -> None:
        super().__init__(app, allowed_hosts=allowed_hosts, www_redirect=False)
        # Metrics are free of it only where a token or a login guards them.
        self._anywhere = PROBES if guard.users is None else PROBES | {"/metrics"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask for the name first, unless it is a probe."""
        if scope["type"] == "http" and scope["path"] in self._anywhere:
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
