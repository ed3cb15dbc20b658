"""`python -m labnis.cli`, the same as `labnis`."""

from labnis.cli import main

main()
