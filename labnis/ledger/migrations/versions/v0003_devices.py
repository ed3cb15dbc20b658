"""Devices: every cooldown, and with it every calibration, belongs to one."""

import sqlalchemy as sa
from alembic import op

from labnis.ledger.errors import LedgerError

revision = "0003"
down_revision = "0002"

devices = sa.table("devices", sa.column("id", sa.Integer()), sa.column("name", sa.Text()))
cooldowns = sa.table(
    "cooldowns",
    sa.column("id", sa.Integer()),
    sa.column("device_id", sa.Integer()),
    sa.column("name", sa.Text()),
    sa.column("in_progress", sa.Boolean()),
)


def upgrade() -> None:
    """Add the table. The device of the cooldowns so far is not known: its name is empty."""
    op.create_table(
        "devices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        sa.UniqueConstraint("name", name="uq_devices_name"),
    )
    op.execute(devices.insert().values(name=""))
    op.add_column("cooldowns", sa.Column("device_id", sa.Integer(), nullable=True))
    op.execute(cooldowns.update().values(device_id=sa.select(devices.c.id).scalar_subquery()))
    with op.batch_alter_table("cooldowns") as table:
        table.alter_column("device_id", existing_type=sa.Integer(), nullable=False)
        table.create_foreign_key("fk_cooldowns_device_id", "devices", ["device_id"], ["id"])
        for column in ("name", "in_progress"):
            table.drop_constraint(f"uq_cooldowns_{column}", type_="unique")
            table.create_unique_constraint(f"uq_cooldowns_{column}", [column, "device_id"])


def downgrade() -> None:
    """Remove the table. A cooldown that shares its name with one of another device gets the device's name, too.

    Raises
    ------
    LedgerError
        Cooldowns of several devices are in progress; version 0002 has one.

    """
    connection = op.get_bind()
    found = connection.execute(
        sa.select(cooldowns.c.id, cooldowns.c.name, devices.c.name, cooldowns.c.in_progress)
        .join(devices, devices.c.id == cooldowns.c.device_id)
        .order_by(cooldowns.c.id)
    ).all()
    running = [f"{name!r} of {device!r}" for _, name, device, in_progress in found if in_progress]
    if len(running) > 1:
        config = op.get_context().config
        shown = config.attributes["shown"] if config else ""
        raise LedgerError(
            f"ledger {shown}: version 0002 has one cooldown in progress, but there are {len(running)}: "
            f"{', '.join(running)}. End all but one with `labnis cooldown end`."
        )
    taken = set[str]()
    for number, name, device, _ in found:
        new = name if name not in taken else f"{name} ({device})"
        while new in taken:
            new += "'"
        taken.add(new)
        connection.execute(cooldowns.update().where(cooldowns.c.id == number).values(name=new))
    with op.batch_alter_table("cooldowns") as table:
        for column in ("name", "in_progress"):
            table.drop_constraint(f"uq_cooldowns_{column}", type_="unique")
            table.create_unique_constraint(f"uq_cooldowns_{column}", [column])
        table.drop_constraint("fk_cooldowns_device_id", type_="foreignkey")
        table.drop_column("device_id")
    op.drop_table("devices")
