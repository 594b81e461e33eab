"""A bucket of an S3-compatible server, through obstore; its errors in our words.

A PUT that was answered 200 is durable by the contract of S3. Reads and lists see every finished
write at once (strong consistency, which S3 and its like have had since 2020).
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from storage.errors import DamagedFile, NotFound, StorageError

if TYPE_CHECKING:
    from obstore.store import S3Store

CONNECT_SECONDS = 5
ANSWER_SECONDS = 60  # for a whole request: an enhanced image may be large
RETRIES = 3
RETRY_SECONDS = 20.0  # after which no further try begins
PAGE = 1000  # names in an answer, the most that S3 gives

_DIGEST = "sha256"  # of the object's bytes, in its metadata


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a bucket is. What is empty is taken from the usual AWS variables of the environment."""

    url: str  # s3://bucket/prefix
    endpoint: str = ""
    region: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a bucket says of an object."""

    name: str
    size_bytes: int
    changed_at: datetime


class Bucket:
    """The objects below one prefix. Every method raises StorageError where the server fails."""

    def __init__(self, address: Address) -> None:
        self.url = address.url.rstrip("/")
        self._store = _opened(address, retries=RETRIES)
        self._once = _opened(address, retries=0)

    def put(self, name: str, data: bytes, *, only_new: bool = False) -> bool:
        """Write an object whole; with `only_new` False says that one of that name was there."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with self._named_errors("written"):
            try:
                obstore.put(
                    self._store,
                    name,
                    data,
                    attributes={_DIGEST: hashlib.sha256(data).hexdigest()},
                    mode="create" if only_new else "overwrite",
                    use_multipart=False,
                )
            except AlreadyExistsError:
                return False
        return True

    def get(self, name: str) -> bytes:
        """The bytes of an object, as they were written. Raises NotFound and DamagedFile."""
        import obstore

        with self._named_errors("read"):
            answer = obstore.get(self._store, name)
            data, told = bytes(answer.bytes()), answer.attributes.get(_DIGEST)
        # A tool that copied the bucket may have lost what was told; the length was checked.
        if told is not None and hashlib.sha256(data).hexdigest() != told:
            raise DamagedFile(f"{self.url} gave other bytes of {name} than were written there.")
        return data

    def look_up(self, name: str) -> Entry | None:
        """What is there under a name; None where nothing is."""
        import obstore

        try:
            with self._named_errors("read"):
                return _entry(obstore.head(self._store, name))
        except NotFound:
            return None

    def entries(self, folder: str) -> Iterator[Entry]:
        """Everything below a folder, in the order of the names, a page at a time."""
        import obstore

        with self._named_errors("listed"):
            for page in obstore.list(self._store, folder, chunk_size=PAGE):
                yield from (_entry(one) for one in page)

    def delete(self, *names: str) -> None:
        """Remove objects, many in a request; one that is not there is no error.

        Tried once: a second try could hit what was written between the two.
        """
        import obstore

        with self._named_errors("changed"):
            obstore.delete(self._once, names)

    @contextmanager
    def _named_errors(self, done: str) -> Iterator[None]:
        """Only our words: what the server says may quote the request, its keys and signature."""
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        try:
            yield
        except FileNotFoundError as error:
            raise NotFound(f"{self.url} has no such object; was it removed by hand?") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StorageError(
                f"{self.url} refuses our key; look at node.files_key_id, node.files_secret and "
                "what the key may do."
            ) from error
        except (BaseError, OSError, ValueError) as error:
            raise StorageError(
                f"{self.url} cannot be {done} ({type(error).__name__}): the server is away, full "
                "or refuses; look at node.files_url and node.files_endpoint."
            ) from error


def _opened(address: Address, *, retries: int) -> "S3Store":
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError as error:
        raise StorageError("node.files_url needs obstore; `pip install neurosieve[s3]`.") from error
    place = urlsplit(address.url)
    endpoint = address.endpoint or os.environ.get("AWS_ENDPOINT_URL", "")
    given: dict[str, Any] = {
        "region": address.region or os.environ.get("AWS_REGION", "us-east-1"),
        "access_key_id": address.access_key_id,
        "secret_access_key": address.secret_access_key,
        "endpoint": endpoint,
    }
    try:
        return S3Store(
            place.netloc,
            prefix=place.path.strip("/") or None,
            virtual_hosted_style_request=not endpoint,  # servers of one's own have no such names
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": f"{CONNECT_SECONDS}s",
                "timeout": f"{ANSWER_SECONDS}s",
            },
            retry_config={
                "max_retries": retries,
                "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            },
            **{name: value for name, value in given.items() if value},
        )
    except BaseError as error:
        raise StorageError(
            f"{address.url} cannot be opened as a bucket; write s3://bucket/prefix."
        ) from error


def _entry(said: Any) -> Entry:
    return Entry(name=said["path"], size_bytes=said["size"], changed_at=said["last_modified"])
