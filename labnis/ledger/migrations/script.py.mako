"""${message}."""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Bring the ledger from ${repr(down_revision)} to ${repr(up_revision)}."""
    ${upgrades if upgrades else "pass"}
