"""When each calibration was measured, in which conditions and with which others; revocations and notes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add them. Earlier results were measured when they were found, as far as the ledger knows."""
    op.add_column("calibrations", sa.Column("measured", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE calibrations SET measured = created")
    with op.batch_alter_table("calibrations") as table:
        table.alter_column("measured", existing_type=sa.DateTime(timezone=True), nullable=False)
    for name in ("conditions", "used", "reason"):
        op.add_column("calibrations", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("calibrations", sa.Column("revoked", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("calibration_id", sa.Integer(), nullable=False),
        sa.Column("written", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notes"),
        sa.ForeignKeyConstraint(["calibration_id"], ["calibrations.id"], name="fk_notes"),
    )
    op.create_index("ix_notes_calibration_id", "notes", ["calibration_id"])


def downgrade() -> None:
    """Remove them. Revoked results would count again: they are removed, too."""
    op.drop_table("notes")
    calibrations = sa.table("calibrations", sa.column("revoked", sa.DateTime(timezone=True)))
    op.execute(calibrations.delete().where(calibrations.c.revoked.is_not(None)))
    with op.batch_alter_table("calibrations") as table:
        for name in ("measured", "conditions", "used", "reason", "revoked"):
            table.drop_column(name)
