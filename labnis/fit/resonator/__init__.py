"""Fits of what the junctions do to a resonator: reflection, emitted power."""
