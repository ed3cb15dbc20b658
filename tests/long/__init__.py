"""Statistical tests, minutes long: `make test-long`."""
