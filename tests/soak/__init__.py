"""`make soak`: kills, faults and long runs by the thousand; its table is docs/reliability.md."""
