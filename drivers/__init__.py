"""Instruments: what a procedure may ask of them (`drivers.roles`), and one file per real instrument."""
