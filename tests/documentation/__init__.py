"""Every command, program and notebook of README and docs, executed: `make test-documentation`."""
