from tests.run.bench import labnis, station  # noqa: F401  # fixtures
