"""What lesions look like, one by one and together. Earlier analyses were not asked: NULL.

Revision 0002, after 0001, 2026-11-22
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OF_ANALYSIS = ("symmetry", "near_ventricle")
_OF_LESION = (
    "mass_score",
    "extent_mm",
    "thickness_mm",
    "compactness",
    "asymmetry",
    "contrast",
    "ventricle_mm",
    "near_ventricle",
    "surface_mm",
)


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("analysis", sa.Column("pattern", sa.String(32)))
    op.add_column("lesion", sa.Column("mass_like", sa.Boolean()))
    for table, names in (("analysis", _OF_ANALYSIS), ("lesion", _OF_LESION)):
        for name in names:
            op.add_column(table, sa.Column(name, sa.Double()))


def downgrade() -> None:
    """Go back to the one before."""
    for table, names in (
        ("lesion", (*_OF_LESION, "mass_like")),
        ("analysis", (*_OF_ANALYSIS, "pattern")),
    ):
        for name in names:
            op.drop_column(table, name)
