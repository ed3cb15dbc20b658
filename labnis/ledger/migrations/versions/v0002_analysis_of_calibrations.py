"""The analysis that found each calibration."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Before, each result belonged to one of three analyses.
ANALYSES = {
    "current_voltage": ("gap", "normal_resistance", "electron_temperature"),
    "reflection": ("damping_line", "damping_excess", "damping_junction", "resonance_frequency"),
    "emitted_power": ("gain", "noise_temperature"),
}


def upgrade() -> None:
    """Add the column, and fill it for the results there are."""
    op.add_column("calibrations", sa.Column("analysis", sa.Text(), nullable=False, server_default=""))
    calibrations = sa.table("calibrations", sa.column("analysis", sa.Text()), sa.column("quantity", sa.Text()))
    for analysis, quantities in ANALYSES.items():
        known = calibrations.c.quantity.in_(quantities)
        op.execute(calibrations.update().where(known).values(analysis=analysis))


def downgrade() -> None:
    """Remove the column."""
    with op.batch_alter_table("calibrations") as table:
        table.drop_column("analysis")
