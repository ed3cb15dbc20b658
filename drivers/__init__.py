"""Instruments: the roles that they fill (`drivers.roles`), and one file per instrument."""
