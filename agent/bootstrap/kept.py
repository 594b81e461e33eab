"""From the settings to what is kept: data folder, database, retention."""

import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from agent import backup, confinement
from agent.retention import Policy, Retention
from agent.settings import NodeSettings, Settings
from storage import durable
from storage.bucket import Address, Bucket
from storage.database import Database, open_database
from storage.files import BYTES_PER_GB, FileStore
from storage.objects import ObjectStore
from storage.store import Store


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
    if settings.node.files_url:
        return ObjectStore(
            _bucket(settings.node), folder, cache_bytes=int(settings.node.cache_gb * BYTES_PER_GB)
        )
    return FileStore(
        folder,
        reserve_bytes=int(settings.node.reserve_gb * BYTES_PER_GB),
        watermark_percent=settings.node.watermark_percent,
    )


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


def installation(data_dir: Path) -> uuid.UUID:
    """The identity under which UIDs are made; written once, then never changed."""
    path = data_dir / "installation"
    if not path.exists():
        durable.write(path, [f"{uuid.uuid4()}\n".encode("ascii")])
    return uuid.UUID(path.read_text(encoding="ascii").strip())
