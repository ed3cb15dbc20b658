"""The exit codes that scripts around labnis rely on."""

import re
import signal

import pytest

from labnis import errors


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ConfigurationError", 2),
        ("RequestError", 2),
        ("BusyError", 3),
        ("InterlockError", 4),
        ("InstrumentFault", 5),
        ("StorageFault", 6),
        ("DataQualityError", 7),
    ],
)
def test_exit_codes(name: str, code: int) -> None:
    kind = getattr(errors, name)
    assert kind.exit_code == code
    assert issubclass(kind, errors.LabnisError)
    assert re.search(rf"── {name} +{code} ", errors.__doc__ or ""), "the drawn tree shows another code"


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_the_shell_s_code(signum: int, code: int) -> None:
    stop = errors.StoppedBySignal(signum, "bias is at 0 V")
    assert stop.exit_code == code
    assert str(stop) == f"stopped by {signal.Signals(signum).name}: bias is at 0 V"


def test_every_error_is_public_and_drawn() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds == set(errors.__all__)
    assert all(name in (errors.__doc__ or "") for name in kinds)
