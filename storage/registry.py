"""The model versions that the node knows, and the one that reads studies."""

from dataclasses import asdict

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from storage import rows, tables
from storage.errors import Conflict, NotFound
from storage.records import ModelVersion


def register(session: Session, version: ModelVersion) -> None:
    """Make a model version known. Repeating it is harmless and moves its folder at most.

    `version.active` counts only while no version is active, so that registering the shipped model
    at each start never undoes what a person activated. Conflict when the same name and version
    comes with another model.
    """
    _lock(session)
    rows.insert_missing(session, tables.model_version, [asdict(version) | {"active": False}])
    known = _get(session, version.name, version.version)
    if known.sha256 != version.sha256:
        raise Conflict(
            f"Model {version.name} {version.version} is known with other contents; "
            "give the new one a new version."
        )
    table = tables.model_version
    same = (table.c.name == version.name, table.c.version == version.version)
    session.execute(update(table).where(*same).values(folder=version.folder))
    if version.active and active(session) is None:
        activate(session, version.name, version.version)


def activate(session: Session, name: str, version: str) -> None:
    """Make one version the one that reads studies; the one before it steps back."""
    _lock(session)
    _get(session, name, version)
    table = tables.model_version
    session.execute(update(table).where(table.c.active).values(active=False))
    same = (table.c.name == name, table.c.version == version)
    session.execute(update(table).where(*same).values(active=True))


def active(session: Session) -> ModelVersion | None:
    """The version that reads studies, or None before one was activated."""
    table = tables.model_version
    row = session.execute(select(table).where(table.c.active)).one_or_none()
    return None if row is None else ModelVersion(**row._asdict())


def list_versions(session: Session) -> list[ModelVersion]:
    """Every known version, the newest first."""
    columns = tables.model_version.c
    order = (columns.registered_at.desc(), columns.name, columns.version)
    found = session.execute(select(tables.model_version).order_by(*order))
    return [ModelVersion(**row._asdict()) for row in found]


def _get(session: Session, name: str, version: str) -> ModelVersion:
    table = tables.model_version
    same = (table.c.name == name, table.c.version == version)
    row = session.execute(select(table).where(*same)).one_or_none()
    if row is None:
        raise NotFound(f"There is no model {name} {version}; `neurosieve models list` shows all.")
    return ModelVersion(**row._asdict())


def _lock(session: Session) -> None:
    """Let one transaction at a time choose; SQLite's BEGIN IMMEDIATE has seen to that already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE model_version IN SHARE ROW EXCLUSIVE MODE"))
