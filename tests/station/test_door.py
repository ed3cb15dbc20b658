"""Public names of the station."""

import labnis.station


def test_the_public_door() -> None:
    assert labnis.station.__all__ == [
        "BiasMismatchError",
        "BiasUnknownError",
        "Device",
        "FoundInstrument",
        "Interlock",
        "Island",
        "Limits",
        "OpenStation",
        "RampedBias",
        "RoleReading",
        "RoleSpec",
        "SetpointSpec",
        "StationConfig",
        "SystemClock",
        "Uncertainty",
        "VisaListener",
        "check_station",
        "discovered",
        "import_named_in_file",
        "import_object",
        "instrument_class",
        "load_station",
        "open_station",
        "read_document",
        "read_roles",
        "stated_sources",
        "station_lines",
    ]
    assert all(hasattr(labnis.station, name) for name in labnis.station.__all__)
