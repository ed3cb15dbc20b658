"""Fits of a resonator that the junctions damp and excite: reflection, emitted power."""
