"""The model versions that the node knows, and the one that is on trial."""

from dataclasses import asdict

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from storage import rows, tables
from storage.errors import Conflict, NotFound
from storage.model_records import ModelVersion

SEPARATOR = "@"


def register(session: Session, version: ModelVersion) -> ModelVersion:
    """Make a model version known; one that is known already keeps its origin.

    Conflict when the same name and version comes with another model.
    """
    lock(session)
    rows.insert_missing(session, tables.model_version, [asdict(version) | {"shadow": False}])
    known = get(session, version.name, version.version)
    if known.sha256 != version.sha256:
        raise Conflict(
            f"Model {version.label} is known with other contents; give the new one a new version."
        )
    _change(session, known, folder=version.folder, sequence=version.sequence)
    return get(session, version.name, version.version)


def get(session: Session, name: str, version: str) -> ModelVersion:
    """The version of that name."""
    columns = tables.model_version.c
    found = _select(session, columns.name == name, columns.version == version)
    if not found:
        raise NotFound(f"There is no model {name}{SEPARATOR}{version}; {_SHOWS_ALL}")
    return found[0]


def find(session: Session, wanted: str) -> ModelVersion:
    """The model a person means: `name@version`, or a version or a name that only one bears."""
    name, separator, version = wanted.partition(SEPARATOR)
    if separator:
        return get(session, name, version)
    columns = tables.model_version.c
    found = _select(session, columns.version == wanted) or _select(session, columns.name == wanted)
    if not found:
        raise NotFound(f"There is no model {wanted}; {_SHOWS_ALL}")
    if len(found) > 1:
        labels = ", ".join(one.label for one in found)
        raise Conflict(f"{wanted} may mean {labels}; name one of them in full.")
    return found[0]


def list_versions(session: Session) -> list[ModelVersion]:
    """Every known version, the newest first."""
    return _select(session)


def set_shadow(session: Session, version: ModelVersion | None) -> None:
    """Put one version on trial in place of any other; None ends the trial."""
    lock(session)
    session.execute(update(tables.model_version).values(shadow=False))
    if version is not None:
        _change(session, version, shadow=True)


def shadow(session: Session) -> ModelVersion | None:
    """The version on trial, or None."""
    found = _select(session, tables.model_version.c.shadow)
    return found[0] if found else None


def lock(session: Session) -> None:
    """Let one transaction at a time choose; SQLite's BEGIN IMMEDIATE has seen to that already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE model_version IN SHARE ROW EXCLUSIVE MODE"))


_SHOWS_ALL = "`neurosieve models list` shows all."


def _select(session: Session, *conditions: object) -> list[ModelVersion]:
    columns = tables.model_version.c
    order = (columns.registered_at.desc(), columns.name, columns.version)
    statement = select(tables.model_version).where(*conditions).order_by(*order)  # type: ignore[arg-type]
    return [ModelVersion(**row._asdict()) for row in session.execute(statement)]


def _change(session: Session, version: ModelVersion, **values: object) -> None:
    table = tables.model_version
    same = (table.c.name == version.name, table.c.version == version.version)
    session.execute(update(table).where(*same).values(**values))
