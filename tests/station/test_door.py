"""What other rooms may use of the station."""

import labnis.station


def test_the_public_door() -> None:
    assert labnis.station.__all__ == [
        "BiasMismatchError",
        "BiasUnknownError",
        "Interlock",
        "Island",
        "Limits",
        "OpenStation",
        "RampedBias",
        "RoleNames",
        "StationConfig",
        "SystemClock",
        "load_station",
        "open_station",
    ]
    assert all(hasattr(labnis.station, name) for name in labnis.station.__all__)
