"""Systematic uncertainty of each calibration with its sources, limits of what is not determined, warnings of fits."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns. Of earlier results no systematic uncertainty is stated, and no warning is known."""
    for name in ("systematic", "limit"):
        op.add_column("calibrations", sa.Column(name, sa.Double(), nullable=True))
    with op.batch_alter_table("calibrations") as table:
        for name in ("value", "sigma"):
            table.alter_column(name, existing_type=sa.Double(), nullable=True)
    for name in ("contributions", "warnings"):
        op.add_column("calibrations", sa.Column(name, sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Remove the columns, and the limits."""
    calibrations = sa.table("calibrations", sa.column("value", sa.Double()))
    op.execute(calibrations.delete().where(calibrations.c.value.is_(None)))
    with op.batch_alter_table("calibrations") as table:
        for name in ("value", "sigma"):
            table.alter_column(name, existing_type=sa.Double(), nullable=False)
        for name in ("systematic", "limit", "contributions", "warnings"):
            table.drop_column(name)
