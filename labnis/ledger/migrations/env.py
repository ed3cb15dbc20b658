"""Run by alembic with the connection that `labnis.ledger._database` opened and locked."""

from alembic import context

from labnis.ledger._models import Base

# One transaction around all migrations, also on SQLite: a ledger is either migrated completely or not changed.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
