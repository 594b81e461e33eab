"""What Alembic may see of a database that the durable engine's own tables share."""

from typing import Any

VERSION_TABLE = "neurosieve_version"


def include_object(
    _item: Any, _name: str | None, kind: str, reflected: bool, compare_to: Any
) -> bool:
    """A table that is in the database but not in our schema belongs to somebody else."""
    return not (kind == "table" and reflected and compare_to is None)


def options() -> dict[str, Any]:
    """How the schema is read and compared, the same for migrations and their tests."""
    return {
        "version_table": VERSION_TABLE,
        "include_object": include_object,
        "compare_type": True,
        "compare_server_default": True,
        "render_as_batch": True,  # SQLite cannot alter a column in place
    }
