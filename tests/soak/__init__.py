"""`make soak`: thousands of kills, faults and long runs; its table is docs/reliability.md."""
