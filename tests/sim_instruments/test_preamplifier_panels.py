"""The panels of preamplifiers with remote control: unmodified drivers of others."""

from typing import Any

import pytest
from pymeasure.instruments.srs import SR570 as PymeasureSR570  # noqa: N811
from qcodes.instrument_drivers.basel import BaselSP983a
from qcodes_contrib_drivers.drivers.StanfordResearchSystems.SR570 import (  # type: ignore[import-untyped, unused-ignore]
    SR570 as ContribSR570,  # noqa: N811
)

from tests.metered_twin import panel_of
from tests.preamplifier_twin import preamplifier_twin


def test_the_qcodes_driver_of_the_sp983a() -> None:
    with preamplifier_twin("BaselSP983a") as twin:
        preamp, panel = BaselSP983a("preamp", twin.addresses["preamp"], visalib=twin.visalib), panel_of(twin, "preamp")
        assert (preamp.gain(), preamp.fcut()) == (1e7, 1e6)
        for gain in (1e5, 1e9):
            preamp.gain(gain)
            assert preamp.gain() == gain
        for bandwidth in (30, 3000, 30e3, 1e6):
            preamp.fcut(bandwidth)
            assert preamp.fcut() == bandwidth
        panel.overloaded = True
        assert preamp.overload_status() == "Overload: 1"
        preamp.snapshot(update=True)
        assert preamp.ask("SET G 1E4") == preamp.ask("*IDN?") == "ERROR"


def test_the_contrib_and_pymeasure_drivers_of_the_sr570() -> None:
    with preamplifier_twin("SR570") as twin:
        panel: Any = panel_of(twin, "preamp")
        preamp = ContribSR570("preamp", twin.addresses["preamp"], visalib=twin.visalib)
        preamp.reset()
        preamp.sensitivity(1e-7)
        preamp.bias_voltage(-1.0)
        preamp.filter_type("6db_lowpass")
        preamp.filter_lowpass_frequency(10.0)
        preamp.invert(True)
        preamp.reset_overload_condition()
        preamp.snapshot(update=True)
        asked = {"SENS": 15, "BSLV": -1000, "FLTT": 3, "LFRQ": 5, "INVT": 1}
        assert {word: panel.state[word] for word in asked} == asked
        assert not panel.event_status & 0b110000
        preamp.close()
        other = PymeasureSR570(twin.addresses["preamp"], visa_library=twin.visalib)
        other.sensitivity = 1e-6
        other.gain_mode = "Low Drift"
        other.bias_level = 0.5
        other.enable_bias()
        other.clear_overload()
        assert (panel.state["SENS"], panel.state["GNMD"], panel.state["BSLV"], panel.state["BSON"]) == (18, 2, 500, 1)
        assert not panel.event_status & 0b110000


@pytest.mark.parametrize("model", ["BaselSP983a", "SR570"])
def test_what_is_not_understood_changes_nothing(model: str) -> None:
    with preamplifier_twin(model) as twin:
        panel: Any = panel_of(twin, "preamp")
        before = dict(panel.state), getattr(panel, "gain", None)
        for message in (b"SENS 99", b"SET G 1E12", b"NONSENSE", b"\xff\x00", b""):
            panel.receive(message)
            panel.drain()
        assert (panel.state, getattr(panel, "gain", None)) == before
