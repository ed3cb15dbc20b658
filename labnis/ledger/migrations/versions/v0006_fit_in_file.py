"""Which of the versions of a fit in the file of its run a calibration is."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add it. It is the first one in earlier rows, which know of no others."""
    op.add_column("calibrations", sa.Column("fit", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Remove it."""
    with op.batch_alter_table("calibrations") as table:
        table.drop_column("fit")
