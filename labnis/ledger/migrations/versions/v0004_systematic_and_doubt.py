"""Systematic uncertainty of each calibration with its sources, and the warnings of its fit."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns. Of earlier results no systematic uncertainty is stated, and no warning is known."""
    op.add_column("calibrations", sa.Column("systematic", sa.Double(), nullable=True))
    for name in ("contributions", "warnings"):
        op.add_column("calibrations", sa.Column(name, sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Remove the columns."""
    with op.batch_alter_table("calibrations") as table:
        for name in ("systematic", "contributions", "warnings"):
            table.drop_column(name)
