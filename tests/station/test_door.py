"""Public names of the station."""

import labnis.station


def test_the_public_door() -> None:
    assert labnis.station.__all__ == [
        "BiasMismatchError",
        "BiasUnknownError",
        "Device",
        "Interlock",
        "Island",
        "Limits",
        "OpenStation",
        "RampedBias",
        "RoleSpec",
        "SetpointSpec",
        "StationConfig",
        "SystemClock",
        "Uncertainty",
        "VisaListener",
        "check_station",
        "import_named_in_file",
        "import_object",
        "instrument_class",
        "load_station",
        "open_station",
        "read_document",
        "stated_sources",
    ]
    assert all(hasattr(labnis.station, name) for name in labnis.station.__all__)
