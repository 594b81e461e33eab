"""STOW-RS out (PS3.18 10.5), and a QIDO-RS query that tells whether the peer lets us in.

Each file goes out as it lies on disk. The known client (dicomweb-client) is not used: it encodes
every data set anew, throws the answer away when an object was refused, names the host without the
port, and logs a traceback where a peer is away.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLCertVerificationError, SSLError
from typing import Any

from pydantic import SecretStr
from requests import PreparedRequest, Response, Session
from requests.auth import AuthBase, HTTPBasicAuth
from requests.exceptions import (
    HTTPError,
    JSONDecodeError,
    RequestException,
    Timeout,
    TooManyRedirects,
)

from agent.dicom import stow_answer
from agent.dicom.sender import SendItem, SendOutcome
from agent.errors import NotOffered, PeerError

_MAXIMUM_REQUEST_BYTES = 64_000_000  # a larger file has a request to itself
_JSON = "application/dicom+json"
_ALL = "studies"
_NO_QUERY = (403, 404, 405, 501)  # no such service, or not for us
_NO_DICOMWEB = "answers, but not as a DICOMweb service. Is the url its root?"


@dataclass(frozen=True, kw_only=True)
class WebDestination:
    """A DICOMweb service that we send to; `name` is what people call it, `url` its root."""

    name: str
    url: str
    token: SecretStr | None = None
    token_file: Path | None = None
    username: str = ""
    password: SecretStr | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    connect_seconds: float = 10.0
    answer_seconds: float = 60.0

    @property
    def timeouts(self) -> tuple[float, float]:
        """Seconds for the connection, and for each wait for an answer."""
        return self.connect_seconds, self.answer_seconds


def check(destination: WebDestination) -> int:
    """Ask for one study and return how many came; `PeerError` says what went wrong."""
    return len(search(destination, _ALL, {"limit": "1"}))


def search(
    destination: WebDestination, path: str, parameters: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One page of what QIDO-RS finds (PS3.18 10.6), as DICOM JSON; `PeerError` as of `check`."""
    with _session(destination) as session:
        response = session.get(
            f"{destination.url}/{path}",
            params=dict(parameters),
            headers={"Accept": _JSON},
            timeout=destination.timeouts,
        )
        if response.status_code == 404 and path != _ALL:  # no such study, or no such service
            check(destination)
            return []
        if response.status_code in _NO_QUERY:
            raise NotOffered(f"{_where(destination)} {_refusal(response.status_code)}")
        response.raise_for_status()
        found = response.json() if response.content else []  # HTTP 204 where there is none
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise PeerError(f"{_where(destination)} {_NO_DICOMWEB}")
    return found


def send(files: Sequence[SendItem], destination: WebDestination) -> list[SendOutcome]:
    """Store the files at the destination; one outcome a file, in the order of `files`.

    One request, more where it would exceed 64 MB. `PeerError` when the first is not answered as
    STOW-RS is; when a later one is not, the files from there on count as not stored.
    """
    outcomes: list[SendOutcome] = []
    for batch in _batches(files):
        try:
            outcomes += _store(batch, destination)
        except PeerError as error:
            if not outcomes:
                raise
            return outcomes + [_not_answered(file, error) for file in files[len(outcomes) :]]
    return outcomes


def _batches(files: Sequence[SendItem]) -> Iterator[list[SendItem]]:
    batch: list[SendItem] = []
    total_bytes = 0
    for file in files:
        size_bytes = file.path.stat().st_size
        if batch and total_bytes + size_bytes > _MAXIMUM_REQUEST_BYTES:
            yield batch
            batch, total_bytes = [], 0
        batch.append(file)
        total_bytes += size_bytes
    if batch:
        yield batch


def _store(files: Sequence[SendItem], destination: WebDestination) -> list[SendOutcome]:
    boundary = uuid.uuid4().hex
    body = _multipart(files, boundary)
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    with _session(destination) as session:
        response = session.post(
            f"{destination.url}/studies",
            data=body,
            headers={"Content-Type": kind, "Accept": _JSON},
            timeout=destination.timeouts,
        )
        _raise_for_service(response)
    return stow_answer.outcomes(response.content, status=response.status_code, files=files)


def _multipart(files: Sequence[SendItem], boundary: str) -> bytes:
    """PS3.18 8.6.1.2.1.

    The parts do not name their transfer syntax (8.7.3.5.2), which the files say themselves:
    Orthanc's DICOMweb 1.7 refuses every part that does.
    """
    opening = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
    parts = [opening + file.path.read_bytes() for file in files]
    return b"".join([*parts, f"\r\n--{boundary}--\r\n".encode("ascii")])


def _raise_for_service(response: Response) -> None:
    """Raise where the service as a whole refused; any other answer may speak of each object."""
    if response.status_code in (401, 403, 404) or response.status_code >= 500:
        response.raise_for_status()


def _not_answered(file: SendItem, error: PeerError) -> SendOutcome:
    return SendOutcome(sop_uid=file.sop_uid, stored=False, status=None, message=str(error))


@contextmanager
def _session(destination: WebDestination) -> Iterator[Session]:
    """A session with our login and certificates, in which every fault becomes one sentence."""
    with _opened(destination) as session:
        try:
            yield session
        except RequestException as error:
            raise PeerError(f"{_where(destination)} {_what_went_wrong(error)}") from error
        except OSError as error:  # a certificate or key of ours cannot be read
            raise PeerError(f"{destination.name} cannot be asked: {error}.") from error


def _where(destination: WebDestination) -> str:
    return f"{destination.name} ({destination.url})"


def _opened(destination: WebDestination) -> Session:
    session = Session()
    try:
        session.auth = _login(destination)
        ca, certificate, key = (
            _readable(file)
            for file in (destination.ca_file, destination.certificate_file, destination.key_file)
        )
    except (OSError, ValueError) as error:
        raise PeerError(f"{destination.name} cannot be asked: {error}.") from error
    if ca:
        session.verify = ca
    if certificate:
        session.cert = (certificate, key) if key else certificate
    # Neither ~/.netrc nor REQUESTS_CA_BUNDLE, which would win over our login and our ca_file.
    session.trust_env = False
    session.max_redirects = 0  # login and images are for this peer alone
    return session


def _readable(file: Path | None) -> str | None:
    """The name of a file that is there. Raises `OSError` where it is not."""
    if file is None:
        return None
    file.stat()
    return str(file)


class _Login(AuthBase):
    """Shows a bearer token (RFC 6750 2.1), or nothing where there is none."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _login(destination: WebDestination) -> AuthBase:
    if destination.password is not None:
        # As bytes: RFC 7617 takes UTF-8, the library would refuse what is not Latin-1.
        password = destination.password.get_secret_value()
        return HTTPBasicAuth(destination.username.encode(), password.encode())
    token = destination.token.get_secret_value() if destination.token else None
    if destination.token_file is not None:
        token = destination.token_file.read_text(encoding="utf-8").strip()
    if token is not None and not (token.isascii() and token.isprintable() and token):
        raise ValueError("its token is not one line of ASCII")
    return _Login(token)


def _what_went_wrong(error: RequestException) -> str:
    fault = next((one for one in _causes(error) if isinstance(one, SSLError)), None)
    if isinstance(fault, SSLCertVerificationError):
        return f"shows a certificate that is not trusted: {fault.verify_message}. See ca_file."
    if fault is not None:
        return f"cannot be reached by TLS: {_in_words(fault)}."
    if isinstance(error, TooManyRedirects):
        return "sends us on to another address; if that is right, configure it as the url."
    if isinstance(error, HTTPError) and error.response is not None:
        return _refusal(error.response.status_code)
    if isinstance(error, JSONDecodeError):
        return _NO_DICOMWEB
    if isinstance(error, Timeout):
        return "did not answer in time."
    return "cannot be reached or broke off. Is it running?"


def _in_words(fault: SSLError) -> str:
    """OpenSSL's reason, e.g. TLSV13_ALERT_CERTIFICATE_REQUIRED, in small letters."""
    return (fault.reason or str(fault)).replace("_", " ").lower()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _refusal(status: int) -> str:
    if status in (401, 403):
        return f"does not let us in (HTTP {status}). Are token, username and password right?"
    if status == 404:
        return "has no DICOMweb service there (HTTP 404). Is the url its root?"
    return f"answered HTTP {status}."
