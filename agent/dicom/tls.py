"""TLS as the BCP 195 profile asks for it (PS3.15 B.12): 1.2 and 1.3, ECDHE with AEAD only.

The files are looked at before each connection, so that a renewed certificate is used without a
restart. One that can't be used is logged, and the one before stays in use.
"""

import itertools
import logging
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from agent.errors import ConfigurationError

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all of this kind

_log = logging.getLogger(__name__)
_NAME_KINDS = ("commonName", "DNS", "IP Address")
_Names = Iterable[tuple[str, str]]
_Stamp = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """PEM files: who we are, and by whom peers must be vouched for."""

    certificate_file: Path
    key_file: Path
    ca_file: Path


class Identity:
    """Gives the TLS context for the next connection. Its first raises `ConfigurationError`."""

    def __init__(self, files: TlsFiles, build: Callable[[TlsFiles], ssl.SSLContext]) -> None:
        self._files = files
        self._build = build
        self._lock = threading.Lock()
        self._stamp = _stamp(files)
        try:
            self._context = build(files)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"The files that [tls] names cannot be used: {_words(error)}."
            ) from error

    def context(self) -> ssl.SSLContext:
        """Made anew where a file has changed and all of them can be used."""
        with self._lock:
            stamp = _stamp(self._files)
            if stamp != self._stamp:
                self._stamp = stamp
                self._renew()
            return self._context

    def _renew(self) -> None:
        try:
            self._context = self._build(self._files)
        except (OSError, ValueError) as error:
            _log.error(
                "The files that [tls] names have changed and cannot be used (%s). Those from"
                " before stay in use until they can, or until the node is started again.",
                _words(error),
                extra={"action": "certificate_unusable"},
            )
        else:
            _log.info("The TLS certificate was renewed", extra={"action": "certificate_renewed"})


def for_callers(files: TlsFiles, *, client_certificates: bool = True) -> Identity:
    """For the peers that call us: they show a certificate of the authority's, unless told not."""

    def build(files: TlsFiles) -> ssl.SSLContext:
        context = _profile(ssl.PROTOCOL_TLS_SERVER, files)
        context.verify_mode = ssl.CERT_REQUIRED if client_certificates else ssl.CERT_NONE
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        return context

    return Identity(files, build)


def for_calls(files: TlsFiles) -> Identity:
    """For our calls to peers, who must have a certificate in the name that we call them by."""
    return Identity(files, lambda files: _profile(ssl.PROTOCOL_TLS_CLIENT, files))


def _profile(protocol: int, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(files.certificate_file, files.key_file)
    context.load_verify_locations(files.ca_file)
    return context


def names(connection: object) -> frozenset[str]:
    """The common name and the DNS and IP names of the certificate that the other side showed."""
    shown = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    if not shown:
        return frozenset()
    subject = cast(_Names, itertools.chain(*shown.get("subject", ())))
    other = cast(_Names, shown.get("subjectAltName", ()))
    return frozenset(value for key, value in (*subject, *other) if key in _NAME_KINDS)


def time_left(certificate_file: Path) -> timedelta:
    """How long a certificate still counts; negative where it has expired.

    Raises `ConfigurationError` where the file holds none.
    """
    try:
        shown = ssl._ssl._test_decode_cert(str(certificate_file))  # type: ignore[attr-defined]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The TLS certificate cannot be read: {_words(error)}.") from error
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)
    return end - datetime.now(UTC)


def _stamp(files: TlsFiles) -> _Stamp:
    """Changes with the files; a file that is missing for a moment counts as one more change."""
    return tuple(
        _stamp_of(path) for path in (files.certificate_file, files.key_file, files.ca_file)
    )


def _stamp_of(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_ino)


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
