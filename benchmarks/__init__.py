"""How long things take: `python -m benchmarks` measures and prints a table. Never part of a timed test."""
