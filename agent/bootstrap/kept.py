"""From the settings to what is kept: data folder, database, retention."""

import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent import backup, confinement
from agent.errors import ConfigurationError
from agent.retention import Policy, Retention
from agent.settings import NodeSettings, Settings
from storage import installations
from storage.bucket import Address, Bucket
from storage.database import Database, open_database
from storage.errors import StorageError
from storage.files import BYTES_PER_GB, FileStore
from storage.objects import ObjectStore
from storage.store import Store

_OTHER_FILES = (
    "The database belongs to other files than those here. All hosts of one database must share "
    "node.data_dir, as one folder, or node.files_url; whoever moves the files moves the file "
    "`installation` with them."
)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Where everything is kept, ready for use."""

    database: Database
    store: Store


def open_store(settings: Settings) -> Store:
    """Open the data folder, and make it where there is none.

    From here on the process makes no file that another account may read.
    """
    confinement.keep_files_private()
    folder = settings.node.data_dir
    backup.check_whole(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform != "win32":
        folder.chmod(0o700)  # patient data: for the service account only
    return open_objects(settings) or FileStore(
        folder,
        reserve_bytes=int(settings.node.reserve_gb * BYTES_PER_GB),
        watermark_percent=settings.node.watermark_percent,
    )


def open_objects(settings: Settings) -> ObjectStore | None:
    """The bucket, where files lie in one; nothing is contacted yet."""
    node = settings.node
    if not node.files_url:
        return None
    limit_bytes = int(node.cache_gb * BYTES_PER_GB)
    return ObjectStore(_bucket(node), node.data_dir, cache_bytes=limit_bytes)


def _bucket(node: NodeSettings) -> Bucket:
    secret = node.files_secret.get_secret_value() if node.files_secret else ""
    return Bucket(
        Address(
            url=node.files_url,
            endpoint=node.files_endpoint,
            region=node.files_region,
            access_key_id=node.files_key_id,
            secret_access_key=secret,
        )
    )


def objects(settings: Settings) -> Callable[[], Iterator[str]] | None:
    """What lists the objects of the bucket; None where files lie in the data folder."""
    if not settings.node.files_url:
        return None
    return lambda: (entry.name for entry in _bucket(settings.node).entries(""))


def try_bucket(settings: Settings) -> str:
    """Write, read and remove an object. Raises StorageError where one of these fails."""
    bucket, name, content = _bucket(settings.node), f"probe/{uuid.uuid4()}", b"NeuroSieve"
    if not bucket.put(name, content, only_new=True) or bucket.get(name) != content:
        raise StorageError(f"{bucket.url} does not give back what was written there.")
    overwrites = bucket.put(name, content, only_new=True)
    bucket.delete(name)
    if overwrites:
        raise StorageError(f"{bucket.url} knows no conditional writes (If-None-Match).")
    return f"{bucket.url} takes, gives and removes objects"


def open_storage(settings: Settings) -> Storage:
    """Open the data folder and the database, and bring its schema up to date."""
    store = open_store(settings)
    database = open_database(settings.database_url)
    database.migrate()
    return Storage(database=database, store=store)


def retention(settings: Settings, storage: Storage, *, dry_run: bool = False) -> Retention:
    """What removes the files of old studies; by default it lets everything stay."""
    return Retention(
        database=storage.database,
        store=storage.store,
        policy=Policy(**settings.retention.model_dump()),
        dry_run=dry_run,
    )


def _lie_together(storage: Storage) -> bool:
    """Whether database and files are one folder, so that they cannot be of two installations."""
    on_sqlite = storage.database.engine.dialect.name == "sqlite"
    return on_sqlite and isinstance(storage.store, FileStore)


def installation(storage: Storage) -> uuid.UUID:
    """The identity under which UIDs are made; written once, then never changed.

    It stands beside the files and in the database, and must be the same: so no host works with this
    database and other files. Raises ConfigurationError.
    """
    with storage.database.read() as session:
        told = installations.identity(session)
    if told is not None and storage.store.identity() is None and not _lie_together(storage):
        raise ConfigurationError(_OTHER_FILES)
    kept = storage.store.keep_identity(told or str(uuid.uuid4()))
    with storage.database.begin() as session:
        told = installations.keep(session, kept)
    if told != kept:
        raise ConfigurationError(_OTHER_FILES)
    return uuid.UUID(kept)
