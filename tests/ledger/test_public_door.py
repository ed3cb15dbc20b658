"""The names others may import; a change here is a change of the public interface."""

import labnis.ledger


def test_exported_names():
    assert sorted(labnis.ledger.__all__) == [
        "Calibration",
        "Cooldown",
        "CooldownExistsError",
        "InvalidEntryError",
        "Ledger",
        "LedgerBusyError",
        "LedgerError",
        "LedgerUnavailableError",
        "NewCalibration",
        "NoCalibrationError",
        "NoCooldownError",
        "Note",
        "Validity",
        "dependants",
        "difference_of",
        "enter_pending",
        "grounds",
        "keep_pending",
        "later_doubts",
        "migrate_ledger",
        "new_batch",
        "normalized",
        "normalized_error",
        "of_fit",
        "open_ledger",
        "rests_on",
        "valid_at",
        "validities",
    ]
    assert all(hasattr(labnis.ledger, name) for name in labnis.ledger.__all__)
