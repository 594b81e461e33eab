"""No free text from headers and peers any more; the audit can only be added to.

Revision 0007, after 0006, 2026-11-26
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MESSAGE = "The audit is only ever added to."
# Table, columns of its key, columns with sentences in which headers or peers were quoted.
_SENTENCES = (
    ("series_decision", ("study_uid", "revision", "position"), ("reason",)),
    ("analysis", ("study_uid", "revision"), ("reason",)),
    ("shadow_analysis", ("study_uid", "revision"), ("reason",)),
    ("study", ("study_uid", "revision"), ("error",)),
    ("delivery", ("sop_uid", "destination"), ("error",)),
)
_QUOTED_SERIES = re.compile(r'(series \d+) ".*?"(?= (?:was|is)\b)', re.IGNORECASE | re.DOTALL)
_QUOTED_PEER = re.compile(r"(status 0x[0-9A-F]{4}) \(.*\)(?=\.)", re.DOTALL)


def upgrade() -> None:
    """Go to this revision. What was quoted before is taken out of the sentences that are kept."""
    op.add_column(
        "series_decision",
        sa.Column("number", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )
    op.drop_column("series_decision", "description")
    for table, key, columns in _SENTENCES:
        for column in columns:
            _strip(table, key, column)
    if op.get_context().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def downgrade() -> None:
    """Go back to the one before. Descriptions do not come back."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_event_is_kept ON audit_event")
        op.execute("DROP TRIGGER audit_event_is_not_emptied ON audit_event")
        op.execute("DROP FUNCTION refuse_change_of_audit()")
    else:
        op.execute("DROP TRIGGER audit_event_is_not_changed")
        op.execute("DROP TRIGGER audit_event_is_kept")
    op.add_column(
        "series_decision",
        sa.Column("description", sa.Text(), nullable=False, server_default=sa.text("''")),
    )
    op.drop_column("series_decision", "number")


def _strip(table: str, key: tuple[str, ...], column: str) -> None:
    named = sa.table(table, *map(sa.column, (*key, column)))
    connection = op.get_bind()
    for row in connection.execute(sa.select(named).where(named.c[column].is_not(None))).all():
        kept = _QUOTED_PEER.sub(r"\1", _QUOTED_SERIES.sub(r"\1", row._mapping[column]))
        if kept != row._mapping[column]:
            same = sa.and_(*(named.c[name] == row._mapping[name] for name in key))
            connection.execute(sa.update(named).where(same).values({column: kept}))


def _guard_sqlite() -> None:
    for name, event in (("is_not_changed", "UPDATE"), ("is_kept", "DELETE")):
        op.execute(
            f"CREATE TRIGGER audit_event_{name} BEFORE {event} ON audit_event"
            f" BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
        )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{_MESSAGE}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_event_is_kept BEFORE UPDATE OR DELETE ON audit_event"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit()"
    )
    op.execute(
        "CREATE TRIGGER audit_event_is_not_emptied BEFORE TRUNCATE ON audit_event"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit()"
    )
