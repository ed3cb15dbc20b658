"""Cooldowns and calibrations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "cooldowns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("in_progress", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_cooldowns"),
        sa.UniqueConstraint("name", name="uq_cooldowns_name"),
        sa.UniqueConstraint("in_progress", name="uq_cooldowns_in_progress"),
    )
    op.create_table(
        "calibrations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("cooldown_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("sigma", sa.Double(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("run_path", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("assumed", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calibrations"),
        sa.ForeignKeyConstraint(["cooldown_id"], ["cooldowns.id"], name="fk_calibrations_cooldown_id"),
    )
    for column in ("batch", "cooldown_id", "quantity"):
        op.create_index(f"ix_calibrations_{column}", "calibrations", [column])


def downgrade() -> None:
    """Remove both tables, with all that is in them."""
    op.drop_table("calibrations")
    op.drop_table("cooldowns")
