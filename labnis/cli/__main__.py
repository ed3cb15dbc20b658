"""`python -m labnis.cli`, the same as `labnis`."""

from labnis.cli import main

if __name__ == "__main__":
    main()
