"""Change the ledger's tables to another version. Imported only where one is needed: alembic takes 0.2 s."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from labnis.ledger.errors import InvalidEntryError, LedgerUnavailableError

__all__ = ["migrate"]


def migrate(connection: Connection, version: str, shown: str) -> None:
    """Run the migrations between the stored version and `version`, up or down, in the transaction of `connection`.

    The stored version is read here, in the transaction: another process may have migrated it in the meantime. `shown`
    is the ledger's URL in messages.

    Raises
    ------
    LedgerUnavailableError
        A newer labnis wrote the ledger.
    InvalidEntryError
        There is no such version.

    """
    config = Config(attributes={"connection": connection, "shown": shown})
    config.set_main_option("script_location", "labnis.ledger:migrations")
    known = sorted(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())
    if version not in known:
        raise InvalidEntryError(f"{version!r} is not a version of the ledger; allowed are {', '.join(known)}")
    stored = MigrationContext.configure(connection).get_current_revision()
    if stored is not None and stored not in known:
        raise LedgerUnavailableError(
            f"ledger {shown}: its version is {stored}, this labnis knows those up to {known[-1]}. "
            "It was written by a newer labnis; update labnis."
        )
    move = command.upgrade if stored is None or stored < version else command.downgrade
    move(config, version)
