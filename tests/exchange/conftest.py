from tests.run.bench import bias, labnis, station  # noqa: F401  # fixtures
