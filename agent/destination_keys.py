"""Which keys of a `[[destinations]]` or `[[peers]]` table go together, and what a url may hold."""

from collections.abc import Set
from urllib.parse import urlsplit

_LOGIN = frozenset({"token", "token_file", "username"})  # each a way to show who we are
_TLS = frozenset({"ca_file", "certificate_file", "key_file"})
_STOW = _LOGIN | _TLS | {"url", "password", "connect_seconds", "answer_seconds"}
_DIMSE = frozenset({"ae_title", "host", "port"})
_FOREIGN = {"dimse": _STOW, "stow": _DIMSE}
_NEEDED = {"dimse": ("ae_title", "port"), "stow": ("url",)}
_TOGETHER = (("username", "password"), ("password", "username"), ("key_file", "certificate_file"))


def check_together(given: Set[str], *, transport: str, url: str) -> None:
    """ValueError with a sentence that names the keys, never their values, which may be secret."""
    if wrong := ", ".join(sorted(given & _FOREIGN[transport])):
        raise ValueError(f'transport = "{transport}" does not know {wrong}')
    if missing := ", ".join(key for key in _NEEDED[transport] if key not in given):
        raise ValueError(f'transport = "{transport}" needs {missing}')
    _check_web(given, url=url)


def check_asked(given: Set[str], *, ask: str, url: str, is_network: bool) -> None:
    """The same for a peer that may be asked what it holds."""
    web = given & _STOW
    if web and ask == "off":
        raise ValueError(f'{min(web)} needs ask = "find" or ask = "move"')
    if web and not url:
        raise ValueError(f"{min(web)} needs url")
    if is_network and (ask == "move" or (ask == "find" and not url)):
        raise ValueError(f'ask = "{ask}" needs one host, not a network')
    _check_web(web, url=url)


def _check_web(given: Set[str], *, url: str) -> None:
    if len(given & _LOGIN) > 1:
        raise ValueError("only one of token, token_file and username can be used")
    for key, other in _TOGETHER:
        if key in given and other not in given:
            raise ValueError(f"{key} needs {other}")
    if given & _TLS and not url.startswith("https:"):
        raise ValueError(f"{min(given & _TLS)} needs a url that begins with https")


def checked_url(url: str) -> str:
    """The url without the slash at its end; ValueError says what is wrong with it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError('a url begins with "https://" or "http://" and a host')
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("a url holds no login and no query, for it is shown and logged")
    return url.rstrip("/")
