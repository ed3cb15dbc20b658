"""Bad and odd inputs: the answer lies within 4σ of the truth, or a warning or FitError names the kind. None is silent.

Everything is made by the functions of the project's physics, without instruments. Rows in `SLOW` are tested by
`make test-long`: each takes seconds, and a quick row of the same kind is beside it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from labnis.fit import (
    EmissionData,
    FitError,
    FitResult,
    ReflectionData,
    fit_current_voltage,
    fit_emitted_power,
    fit_reflection,
    fit_resonance,
)
from labnis.fit.junction._island import COMPONENTS
from labnis.fit.resonator._traces import Response
from labnis.physics import NISJunction, SINISCooler, reflection_coefficient
from sim_instruments import SHIPPED_TRUTH, Truth, load_truth
from tests.fit import measuring

Real = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Lab:
    """Good data of one device, their fits, and what is true."""

    truth: Truth
    curves: tuple[tuple[Real, Real], tuple[Real, Real]]
    junction: FitResult
    traces: ReflectionData
    rates: FitResult
    spectra: EmissionData

    @property
    def curve(self) -> tuple[Real, Real]:
        return self.curves[0]


@dataclass(frozen=True)
class Answer:
    """A fit, and (value − truth)/σ by parameter."""

    fit: FitResult
    pulls: Mapping[str, float]


@pytest.fixture(scope="module")
def lab(
    shipped: Truth,
    junction_fit: FitResult,
    traces: ReflectionData,
    reflection_fit: FitResult,
    spectra: EmissionData,
) -> Lab:
    first, second = (measuring.current_voltage(shipped, seed) for seed in (1, 2))
    return Lab(shipped, (first, second), junction_fit, traces, reflection_fit, spectra)


def noise(*shape: int, seed: int = 0) -> Real:
    return np.random.default_rng(seed).standard_normal(shape)


# --- current–voltage curves ------------------------------------------------------------------------------------------

LINE = measuring.SERIES_RESISTANCE
# An island that does not heat, so that no component is sought.
COLD = dict.fromkeys(COMPONENTS, 0.0)


def fitted(lab: Lab, voltage: Any, current: Any, line: float = LINE, **options: Any) -> Answer:
    fit = fit_current_voltage(voltage, current, series_resistance=line, **options)
    return Answer(fit, measuring.pulls(fit.select(fit.free), lab.truth))


def changed(change: Callable[[Real, Real], tuple[Any, Any]]) -> Callable[[Lab], Answer]:
    """The fit of a curve after a `change` of voltage and current."""
    return lambda lab: fitted(lab, *change(*lab.curve))


def joined(change: Callable[[Real, Real], tuple[Real, Real]], *, back: bool = False) -> Callable[[Lab], Answer]:
    """The fit of two sweeps in one array, the second of which is changed, and goes `back`."""

    def fit(lab: Lab) -> Answer:
        second = [column[::-1] if back else column for column in change(*lab.curves[1])]
        return fitted(lab, *(np.concatenate(pair) for pair in zip(lab.curve, second, strict=True)))

    return fit


def unequal(lab: Lab, asymmetry: float, **options: Any) -> Answer:
    """The fit of a pair whose resistances differ."""
    truth = lab.truth.model_copy(update={"asymmetry": asymmetry})
    return fitted(lab, *measuring.current_voltage(truth, 1), **options)


def small_gap(lab: Lab, **options: Any) -> Answer:
    """The fit of a device of another gap."""
    truth = measuring.device(junction={"gap": 110e-6})
    fit = fit_current_voltage(*measuring.current_voltage(truth, 1), series_resistance=LINE, **options)
    return Answer(fit, measuring.pulls(fit, truth))


def heated(lab: Lab, line: float = LINE, gain: float = 1.0, maximum: float = 1.2e-3, **options: Any) -> Answer:
    """The fit of a curve of an island that tunnelling cools."""
    truth = load_truth(SHIPPED_TRUTH)
    voltage, current = measuring.current_voltage(truth, 1, maximum=maximum)
    voltage = gain * (voltage - (line - LINE) * current)
    fit = fit_current_voltage(voltage, current, series_resistance=line, **options)
    assert not any("same device" in text for text in fit.warnings)
    return Answer(fit, measuring.pulls(fit.select(fit.free), truth))


def coarse(voltage: Real, heat: float = 8.3e9, **options: Any) -> Answer:
    """The fit of readings at these voltages (V) of an island whose electrons become far colder than the bath."""
    values = {"gap": 215e-6, "normal_resistance": 1.9e3, "electron_temperature": 0.09, "dynes": 2e-5}
    cooler = SINISCooler(NISJunction(215e-6, 1.9e3, 2e-5), volume=1.0, electron_phonon=1 / heat, kapitza=None)
    exact = cooler.operating_point(voltage, 0.09).current
    held = dict.fromkeys(("kapitza_resistance", "andreev_normal", "andreev_superconductor", "injection"), 0.0)
    fit = fit_current_voltage(voltage, exact + 2e-13 * noise(voltage.size), fixed=held, **options)
    known = values | {"electron_phonon_resistance": heat}
    return Answer(fit, {name: (fit[name].value - value) / fit[name].sigma for name, value in known.items()})


def another(_voltage: Real, _current: Real) -> tuple[Real, Real]:
    return measuring.current_voltage(measuring.device(junction={"gap": 190e-6}), 5)


def by_voltage(lab: Lab, change: Callable[[Real, Real], tuple[Real, Real]]) -> Answer:
    """Two sweeps, sorted by voltage."""
    columns = [np.concatenate(pair) for pair in zip(lab.curve, change(*lab.curves[1]), strict=True)]
    order = np.argsort(columns[0])
    return fitted(lab, *(column[order] for column in columns))


def only(where: Callable[[Real], Any]) -> Callable[[Lab], Answer]:
    """The fit of a curve, where its voltage is not `where` the current is NaN."""
    return changed(lambda v, i: (v, np.where(where(v), i, np.nan)))


def short(maximum: float, step: float = 0.0, offset: float = 0.0, **options: Any) -> Callable[[Lab], Answer]:
    """The fit of a curve to this bias, read in steps, with a further offset."""

    def fit(lab: Lab) -> Answer:
        voltage, current = measuring.current_voltage(lab.truth, 1, maximum=maximum)
        read = np.rint(current / step) * step if step else current
        return fitted(lab, voltage, read + offset, **options)

    return fit


def offset(
    lab: Lab, volt: float = 0.0, ampere: float = 0.0, only: Callable[[Real], Any] = lambda v: v < np.inf
) -> Answer:
    """The fit of the readings at `only` some voltages, which instruments have shifted; its offsets follow."""
    there = only(lab.curve[0])
    found = fitted(lab, lab.curve[0][there] + volt, lab.curve[1][there] + ampere)
    return replace(found, pulls={name: pull for name, pull in found.pulls.items() if not name.endswith("_offset")})


def stepped(lab: Lab, seed: int) -> Answer:
    """The fit of a sweep in whose middle the offset of the current steps; no warning asks for another device."""
    voltage, current = measuring.current_voltage(lab.truth, seed)
    found = fitted(lab, voltage, current + np.where(voltage > 0, 3e-12, 0.0))
    assert not any("same device" in text or "dephasing_rate" in text for text in found.fit.warnings)
    return found


def noisy_tunnelling(_lab: Lab) -> Answer:
    """The fit of a pair of 1 TΩ, whose current is smaller than the offset, and little more than the noise."""
    voltage, values = np.linspace(-1.2e-3, 1.2e-3, 51), {"gap": 215e-6, "current_offset": 1e-15}
    current = NISJunction(215e-6, 1e12, 1e-4).current(voltage / 2, 0.11) + 1e-15 + 2e-17 * noise(51, seed=1)
    fit = fit_current_voltage(voltage, current, given={"normal_resistance": (1e12, 1e11)})
    return Answer(fit, {name: (fit[name].value - value) / fit[name].sigma for name, value in values.items()})


def resistor(voltage: Real, _current: Real) -> tuple[Real, Real]:
    return voltage, voltage / 24e3 + 1e-12 * noise(voltage.size)


def with_glitches(voltage: Real, current: Real) -> tuple[Real, Real]:
    spoilt = current.copy()
    spoilt[[30, 100, 170]] += 1e-9
    return voltage, spoilt


def drift(size: int) -> Real:
    return np.linspace(0, 1, size)


def hysteretic(voltage: Real, current: Real) -> tuple[Real, Real]:
    """The way back stays normal down to half of the voltage at which the way up begins to be."""
    return voltage, np.where(np.abs(voltage) > 0.25e-3, voltage / 24e3, current)


CURVES: dict[str, tuple[Callable[[Lab], Answer], str]] = {
    "two sweeps": (joined(lambda v, i: (v, i)), ""),
    "two sweeps, up and down": (joined(lambda v, i: (v, i), back=True), ""),
    "two sweeps that differ": (joined(lambda v, i: (v, 1.0001 * i)), "2 sweeps, and no. 1 and 2 differ.*same dir"),
    "a reading that lags": (joined(lambda v, i: (v - 1e-7, i), back=True), "2 sweeps, and .* opposite directions"),
    "hysteretic": (joined(hysteretic, back=True), "2 sweeps, and .* opposite directions: .* hysteretic"),
    "two devices": (joined(another), "2 sweeps, and .*two devices"),
    "two devices, sorted": (partial(by_voltage, change=another), "alternate .* two sweeps that differ"),
    "two equal sweeps, sorted": (partial(by_voltage, change=lambda v, i: (v, i)), ""),
    "jitter of the voltage": (changed(lambda v, i: (v + 5e-7 * noise(v.size), i)), "voltage that jitters"),
    "multiplicative noise": (changed(lambda v, i: (v, i * (1 + 1e-2 * noise(i.size)))), "in proportion to the read"),
    "one junction as a pair": (
        lambda lab: fitted(lab, lab.curve[0] / 2, lab.curve[1], LINE / 2),
        "is this one junction",
    ),
    "unequal junctions": (lambda lab: unequal(lab, 0.03), r"unequal junctions, with .* of about 0\.03"),
    "hardly unequal junctions": (lambda lab: unequal(lab, 0.005), ""),
    "unequal junctions, the line known": (
        lambda lab: unequal(lab, 0.02, resistance_sigma=0.2),
        r"unequal junctions, with .* of about 0\.02",
    ),
    "unequal junctions, like heat": (
        lambda lab: unequal(lab, 0.05, resistance_sigma=20.0),
        r"as well by two unequal junctions, .* of about 0\.05",
    ),
    "very unequal junctions": (lambda lab: unequal(lab, 0.2), r"as well by two unequal junctions, .* of about 0\.2"),
    "unequal junctions, asked": (lambda lab: unequal(lab, 0.05, given={"asymmetry": (0.0, 0.3)}), ""),
    "pair as one junction": (lambda lab: fitted(lab, *lab.curve, junctions=1), "is this a pair in series"),
    "pair as an array": (lambda lab: fitted(lab, *lab.curve, junctions=(4, 2)), "is this a pair in series"),
    "wrong gap held": (
        lambda lab: fitted(lab, *lab.curve, fixed=COLD | {"gap": 214e-6}),
        r"of gap, 214 µeV: the curve alone has 2(14\.9|15\.0)",
    ),
    "dynes held at next to nothing": (
        lambda lab: fitted(lab, *lab.curve, fixed={"dynes": 1e-6}),
        "described as well with dynes .* and 1e-06 was given",
    ),
    "dynes held ten times too large": (
        lambda lab: fitted(lab, *lab.curve, fixed={"dynes": 1e-3}),
        r"of dynes, \S+: the curve alone has",
    ),
    "true gap held, the voltage read too large": (
        lambda lab: fitted(lab, 1.0002 * lab.curve[0], lab.curve[1], fixed={"gap": 215e-6}),
        r"of gap, 215 µeV: the curve alone has 215\.04",
    ),
    "wrong resistance held, by little": (
        lambda lab: fitted(lab, *lab.curve, fixed=COLD | {"normal_resistance": 12.004e3}),
        r"of normal_resistance, 12\.004 kΩ: the curve alone has 1(2\.000|1\.999)",
    ),
    "wrong line stated, of an island that heats": (
        lambda lab: heated(lab, line=LINE + 100, resistance_sigma=12.0),
        r"want a series resistance of (199|200)\S* ± \S+ ohm, and 2100 ± 12 ohm are stated; is the stated",
    ),
    "line wrong by five times what is stated": (
        lambda lab: heated(lab, line=LINE - 60, resistance_sigma=12.0),
        r"want a series resistance of (199|200)\S* ± \S+ ohm, and 1940 ± 12 ohm are stated",
    ),
    "line wrong by far more than is stated": (
        lambda lab: heated(lab, line=LINE - 200, resistance_sigma=12.0),
        r"want a series resistance of (more than 19\S+|(199|200)\S* ± \S+) ohm, and 1800 ± 12 ohm are stated",
    ),
    "wrong line stated, and the gap held": (
        lambda lab: heated(lab, line=LINE + 100, resistance_sigma=12.0, fixed={"gap": 215e-6}),
        "ohm are stated; is the stated value wrong, the value at which gap is held, or the model",
    ),
    "true gap held, the voltage read slightly too large": (
        lambda lab: heated(lab, gain=1.0005, maximum=0.5e-3, resistance_sigma=12.0, fixed={"gap": 215e-6}),
        "is held, of gap|the value at which gap is held",
    ),
    "wrong gap given": (
        lambda lab: fitted(lab, *lab.curve, fixed=COLD, given={"gap": (215.1e-6, 1e-9)}),
        "data contradict what was",
    ),
    "wrong gap held, of an island that heats": (
        lambda lab: heated(lab, fixed={"gap": 212e-6}),
        r"of gap, 212 µeV: the curve alone has 2(14\.9|15\.0)",
    ),
    "wrong temperature held, of an island that heats": (
        lambda lab: heated(lab, fixed={"electron_temperature": 110.5e-3}),
        r"of electron_temperature, 110(\.5)? mK: the curve alone has 110\.0",
    ),
    "few biases, swept again and again": (lambda lab: coarse(np.tile(np.linspace(-1.2e-3, 1.2e-3, 31), 12)), ""),
    "few biases, many readings of each": (lambda lab: coarse(np.repeat(np.linspace(-1.2e-3, 1.2e-3, 25), 80)), ""),
    "a sweep to fifty gaps": (lambda lab: coarse(np.linspace(-20e-3, 20e-3, 5001), heat=1e9), ""),
    "most points at one bias": (
        lambda lab: coarse(np.sort(np.append(np.linspace(-1.2e-3, 1.2e-3, 201), 0.9e-3 + 3e-6 * noise(2800)))),
        "",
    ),
    "nothing inside the gap": (
        lambda lab: coarse(
            np.concatenate([np.linspace(-1.2e-3, -0.5e-3, 1000), np.linspace(0.5e-3, 1.2e-3, 1000)]),
            given={"gap": (215e-6, 1e-8), "electron_temperature": (0.09, 1e-3)},
        ),
        "",
    ),
    "gap in µeV": (lambda lab: fitted(lab, *lab.curve, fixed={"gap": 215.0}), "gap cannot be held at 215; it is from"),
    "line 1 % off": (
        lambda lab: fitted(lab, lab.curve[0] - 20 * lab.curve[1], lab.curve[1], LINE + 20),
        r"is (19|20)\.\d+ ohm off",
    ),
    "line 10 % off": (
        lambda lab: fitted(lab, lab.curve[0] - 200 * lab.curve[1], lab.curve[1], LINE + 200),
        r"as well with a series resistance of 2000[^0-9].* which is (199\.\d|200(\.\d)?) ohm off",
    ),
    "line forgotten": (
        lambda lab: fitted(lab, lab.curve[0] + LINE * lab.curve[1], lab.curve[1], 0.0),
        "as well with a series resistance of (1999|2000)[^0-9].* ohm off",
    ),
    "excitation in µV": (
        lambda lab: fitted(lab, *lab.curve, excitation=5.0),
        "as wide as the whole gap; is it in volt",
    ),
    "excitation not told": (
        lambda lab: fitted(lab, *measuring.current_voltage(lab.truth, 1, excitation=0.1)),
        "alternating voltage of (9.9|10|10.1)[0-9]* µV rms on the line",
    ),
    "a gap half as large": (small_gap, "is this one junction"),
    "a gap half as large, known": (lambda lab: small_gap(lab, given={"gap": (110e-6, 5e-6)}), ""),
    "mV": (changed(lambda v, i: (1e3 * v, i)), "give device_voltage in volt"),
    "µA": (changed(lambda v, i: (v, 1e6 * i)), "give current in ampere"),
    "exchanged columns": (changed(lambda v, i: (i, v)), "the two columns are exchanged"),
    "inverted sign": (changed(lambda v, i: (v, -i)), "the sign of one of them is inverted"),
    "over-range": (only(lambda v: np.abs(v) < 0.4e-3), "1[0-9]{2} of 201 points have no finite reading"),
    "over-range beyond the gap": (only(lambda v: np.abs(v) < 0.49e-3), ""),
    "marked as over-range": (
        changed(lambda v, i: (v, np.where(np.abs(i) > 2e-8, 9.91e37, i))),
        "the mark of a reading that is over-range",
    ),
    "clipped": (changed(lambda v, i: (v, np.clip(i, -2e-8, 2e-8))), "the reading is clipped"),
    "below the gap": (short(0.3e-3), "ends inside the gap"),
    "below the gap, with an offset": (short(0.3e-3, offset=1e-10), "ends inside the gap"),
    "below the gap, in steps": (short(0.3e-3, 1e-11), "below the resolution of the meter, so that .* inside the gap"),
    "deep inside the gap": (short(0.1e-3), "ends inside the gap"),
    "too narrow": (short(0.45e-3), "at its edge; widen the sweep"),
    "narrow, to 1.06 gaps": (short(0.47e-3), ""),
    "narrow, to 1.22 gaps": (short(0.55e-3), ""),
    "inside the gap, which is known": (short(0.38e-3, fixed={"gap": 215e-6}), ""),
    "inside the gap, with its resistance": (short(0.3e-3, fixed={"gap": 215e-6, "normal_resistance": 12e3}), ""),
    "hardly a current, all known": (short(0.1e-3, fixed={"gap": 215e-6, "normal_resistance": 12e3}), ""),
    "a reach that is not the same on both sides": (
        changed(lambda v, i: (v[np.abs(v + 1e-4) < 2e-4], i[np.abs(v + 1e-4) < 2e-4])),
        r"no superconducting gap is seen from -\d+ µV to \d+(\.\d)? µV: .* ends inside the gap",
    ),
    "a voltmeter off by volts": (partial(offset, volt=3.0), "within 1.11 mV of 3 V, far from 0 V: subtract the offset"),
    "a voltmeter off by a tenth of a volt": (partial(offset, volt=-0.1), "of -100 mV, far from 0 V: subtract"),
    "a voltmeter off by more than the sweep": (partial(offset, volt=5e-3), "centred at 5 mV, .* subtract the offset"),
    "a voltmeter off by the sweep": (partial(offset, volt=2e-3), "centred at 2 mV, .* subtract the offset"),
    "a voltmeter off by half of the sweep": (partial(offset, volt=-1.1e-3), ""),
    "an ammeter off by twenty currents": (partial(offset, ampere=1e-6), ""),
    "an ammeter off by thousands of currents": (partial(offset, ampere=-1e-3), ""),
    "an ammeter off by two currents, one side": (partial(offset, ampere=-1e-7, only=lambda v: v >= 0), ""),
    "noisy tunnelling beside an offset": (noisy_tunnelling, ""),
    "a leak larger than the junctions": (
        changed(lambda v, i: (v, i + 1e-4 * v)),
        r"the current is in proportion to the voltage, as through \S+ kΩ; .* a leak parallel",
    ),
    "resistor": (changed(resistor), "in proportion to the voltage, as through 24 kΩ; .* a resistor"),
    "constant": (changed(lambda v, _: (v, np.full(v.size, 1e-9))), "every reading is 1e-09 A"),
    "not connected": (changed(lambda v, _: (v, 1e-12 * noise(v.size))), "the device is not connected"),
    "read in steps": (changed(lambda v, i: (v, np.rint(i / 1e-9) * 1e-9)), ""),
    "a step of the offset at 0 V": (
        changed(lambda v, i: (v, i + np.where(v > 0, 3e-12, 0.0))),
        r"by a step of about [\d.]+e-12 A of the current's offset between ",
    ),
    "a step of the offset, like an Andreev current": (
        lambda lab: stepped(lab, 2),
        r"by a step of about 3\S* A of the current's offset between",
    ),
    "a step of the offset within the gap": (
        changed(lambda v, i: (v, i + np.where(v > 0.2e-3, 3e-12, 0.0))),
        r"by a step of about [\d.]+e-12 A of the current's offset between 1\d\d µV and 2\d\d µV",
    ),
    "drifting": (changed(lambda v, i: (v, i * (1 + 1e-3 * drift(i.size)))), "looks like a drift"),
    "jump": (
        changed(lambda v, i: (v, i + np.where(drift(i.size) > 0.65, 1e-11, 0.0))),
        r"by a step of about 1\S*e-11 A",
    ),
    "empty": (changed(lambda _v, _i: ([], [])), "0 usable points"),
    "all NaN": (changed(lambda v, i: (v, np.nan * i)), "0 usable points .*201 of 201 have no finite reading"),
    "one point": (changed(lambda v, i: (v[:1], i[:1])), "1 usable points are too few"),
    "unsorted": (changed(lambda v, i: (v[np.argsort(noise(v.size))], i[np.argsort(noise(v.size))])), ""),
    "copied rows": (changed(lambda v, i: (np.repeat(v, 3), np.repeat(i, 3))), "points repeat the one before"),
    "three glitches": (changed(with_glitches), ""),
}


# --- one trace -------------------------------------------------------------------------------------------------------

RESONANCE = {"resonance_frequency": 4.67e9, "damping_line": 16e6, "damping_internal": 2.5e6, "fano_imag": 0.1}
WIDTH = (16e6 + 2.5e6) / (2 * np.pi)
BAND = RESONANCE["resonance_frequency"] + np.linspace(-60e6, 60e6, 801)


def s11(shift: Real | float = 0.0, frequency: Real = BAND, seed: int = 1) -> Real:
    """A trace behind a cable, its resonance shifted (Hz) at each point."""
    fano = complex(1.0, RESONANCE["fano_imag"])
    detuning = 2 * np.pi * (frequency - RESONANCE["resonance_frequency"] - shift)
    gamma = reflection_coefficient(detuning, RESONANCE["damping_line"], RESONANCE["damping_internal"], fano)
    cable = 0.02 * np.exp(-2j * np.pi * 45e-9 * (frequency - BAND.mean()))
    return cable * (
        gamma.conj() + 1e-3 * (noise(frequency.size, seed=seed) + 1j * noise(frequency.size, seed=seed + 1))
    )


def bent(size: float, *, down: bool = False) -> Real:
    """Shift (Hz) at each point by the power in the resonator, `size` linewidths at its peak, for a sweep up or down."""
    offsets, shifts, last = (BAND - RESONANCE["resonance_frequency"]) / WIDTH, [], -np.inf
    for offset in offsets[::-1] if down else offsets:
        # With d = offset − size/(1 + 4d²); where three solutions exist, the one near the last.
        roots = np.roots([4, -4 * offset, 1, size - offset])
        real = roots[np.abs(roots.imag) < 1e-6].real
        last = real[np.argmin(np.abs(real - (last if np.isfinite(last) else offset)))]
        shifts.append((offset - last) * WIDTH)
    return np.array(shifts[::-1] if down else shifts)


def decibels(values: Any) -> Any:
    return 20 * np.log10(np.abs(values)) * np.exp(1j * np.angle(values))


def degrees(values: Any) -> Any:
    return np.abs(values) * np.exp(1j * np.rad2deg(np.angle(values)))


def resonance(values: Any, frequency: Any = BAND, **options: Any) -> Answer:
    fit = fit_resonance(frequency, values, **options)
    free = {name: true for name, true in RESONANCE.items() if name in fit.free}
    return Answer(fit, {name: (fit[name].value - true) / fit[name].sigma for name, true in free.items()})


def second(offset: float) -> Any:
    """Reflection from a narrower resonance, so far (Hz) from the first one."""
    detuning = 2 * np.pi * (BAND - RESONANCE["resonance_frequency"] - offset)
    return reflection_coefficient(detuning, 1e6, 0.3e6)


def two(first: Real, second: Real) -> Answer:
    """Up, and down again, in one array."""
    return resonance(np.concatenate([first, second[::-1]]), np.concatenate([BAND, BAND[::-1]]))


TRACES: dict[str, tuple[Callable[[Lab], Answer], str]] = {
    "decibels in a trace": (lambda _: resonance(decibels(s11())), "as if the amplitude of s11 were decibels"),
    "power in a trace": (lambda _: resonance(np.abs(s11()) * s11()), "as if the amplitude of s11 were a power"),
    "GHz in a trace": (lambda _: resonance(s11(), BAND / 1e9), "give it in Hz, not in MHz or GHz"),
    "degrees in a trace": (lambda _: resonance(degrees(s11())), "made from a phase in degrees"),
    "two traces": (lambda _: two(s11(), s11(seed=3)), ""),
    "two traces that differ": (lambda _: two(s11(), s11(3e4, seed=3)), "2 sweeps, and .* differ"),
    "jitter of 1 %": (lambda _: resonance(s11(0.01 * WIDTH * noise(801, seed=5))), "resonance frequency that jitters"),
    "jitter of 10 %": (lambda _: resonance(s11(0.1 * WIDTH * noise(801, seed=5))), "resonance frequency that jitters"),
    "multiplicative noise in a trace": (lambda _: resonance(s11() * (1 + 0.01 * noise(801, seed=5))), ""),
    "slightly bent": (
        lambda _: resonance(s11(bent(0.02))),
        "the resonance looks bent, as by .* or that moved during the trace",
    ),
    "bent": (lambda _: resonance(s11(bent(0.3))), "the resonance looks bent, as by .* or that moved during the trace"),
    "bistable": (lambda _: two(s11(bent(1.5)), s11(bent(1.5, down=True), seed=3)), "2 sweeps, .* hysteretic"),
    "a frequency that jumps": (
        lambda _: resonance(s11(0.2 * WIDTH * (np.cumsum(np.random.default_rng(2).random(801) < 0.01) % 2))),
        "that moved during the trace",
    ),
    "no delay held": (
        lambda _: resonance(s11(), fixed={"delay": 0.0}),
        r"the fit failed; .* is held, of delay, 0 s: the trace alone has (45\.0|44\.9)",
    ),
    "too much delay held": (
        lambda _: resonance(s11(), fixed={"delay": 50e-9}),
        r"is held, of delay, 50 ns: the trace alone has (45\.0|44\.9)",
    ),
    "another frequency held": (
        lambda _: resonance(s11(), fixed={"resonance_frequency": 4.68e9}),
        r"is held, of resonance_frequency, 4\.68 GHz: the trace alone has (4\.6700|4\.6699)",
    ),
    "a second, narrow resonance": (
        lambda _: resonance(-s11() * second(20e6).conj()),
        "as by a second resonance, a spur, or a frequency that moved",
    ),
    "a second resonance on the slope": (
        lambda _: resonance(-s11() * second(8e6).conj()),
        "as by a second resonance, a spur, or a frequency that moved",
    ),
    "frequency in GHz": (lambda _: resonance(s11(), 1e-9 * BAND), "give it in Hz"),
    "frequency in MHz": (lambda _: resonance(s11(), 1e-6 * BAND), "give it in Hz"),
    "dB": (lambda _: resonance(20 * np.log10(np.abs(s11()))), "s11 is real; amplitude and phase are needed"),
    "degrees": (lambda _: resonance(np.abs(s11()) * np.exp(1j * np.angle(s11(), deg=True))), "phase in radians"),
    "conjugate": (lambda _: resonance(s11().conj()), "s11 is complex conjugated"),
}


# --- traces and spectra at many biases -------------------------------------------------------------------------------


def reflected(lab: Lab, **changes: Any) -> Answer:
    prior, fixed = changes.pop("prior", lab.junction), changes.pop("fixed", None)
    fit = fit_reflection(replace(lab.traces, **changes), prior=prior, fixed=fixed)
    return Answer(fit, measuring.pulls(fit.select(fit.free), lab.truth))


def converted(lab: Lab, change: Callable[[Any], Any]) -> Answer:
    """The fit of some of the traces with other numbers."""
    few = lab.traces.thinned(31, 67)
    fit = fit_reflection(replace(few, s11=change(few.s11)), prior=lab.junction)
    return Answer(fit, measuring.pulls(fit, lab.truth))


def shifted(lab: Lab, shift: Real) -> Answer:
    """The fit of traces whose resonance is shifted (Hz), shape (biases, 1 or frequencies)."""

    def gamma(frequency: Real) -> Real:
        rows = zip(lab.traces.device_voltage, frequency, strict=True)
        at = [ReflectionData(np.array([v]), np.sort(f), np.ones((1, f.size), complex)) for v, f in rows]
        return np.array([Response.of(lab.rates.by_name, one).gamma[0] for one in at]).conj()

    still = np.tile(lab.traces.frequency, (lab.traces.device_voltage.size, 1))
    return reflected(lab, s11=lab.traces.s11 * gamma(still - shift) / gamma(still))


def power_in_resonator(lab: Lab) -> Real:
    power = np.abs(Response.of(lab.rates.by_name, lab.traces).response) ** 2
    return np.asarray(power / power.max())


def other_device(**changes: Any) -> FitResult:
    return measuring.fitted_current_voltage(measuring.device(**changes))


def emitted(lab: Lab, spectrum: Any = None, **changes: Any) -> Answer:
    prior = changes.pop("prior", lab.rates)
    spectra = lab.spectra if spectrum is None else replace(lab.spectra, spectrum=spectrum)
    fit = fit_emitted_power(replace(spectra, **changes), prior=prior)
    return Answer(fit, measuring.pulls(fit, lab.truth))


def rates_of(lab: Lab, **resonator: float) -> FitResult:
    return fit_reflection(measuring.reflection(measuring.device(resonator=resonator)), prior=lab.junction)


def compressed(lab: Lab) -> Real:
    power = np.trapezoid(lab.spectra.spectrum, lab.spectra.frequency, axis=-1)
    return np.asarray(lab.spectra.spectrum / (1 + 0.05 * (power - power.min()) / np.ptp(power))[:, None])


def with_spurs(lab: Lab) -> Real:
    spoilt = lab.spectra.spectrum.copy()
    spoilt[:, [60, 150, 151]] *= 1 + 3 * np.random.default_rng(2).random((len(spoilt), 3))
    return spoilt


def rippling(lab: Lab, decibel: float, periods: float = 10.0) -> Real:
    place = (lab.spectra.frequency - lab.spectra.frequency[0]) / np.ptp(lab.spectra.frequency)
    return np.asarray(lab.spectra.spectrum * 10 ** (decibel / 20 * np.sin(2 * np.pi * periods * place + 0.3)))


def bending(lab: Lab, decibel: float) -> Real:
    """Spectra of a chain whose gain is larger at both ends of the band."""
    place = np.linspace(-1, 1, lab.spectra.frequency.size)
    return np.asarray(lab.spectra.spectrum * 10 ** (decibel / 10 * place**2))


BIASES: dict[str, tuple[Callable[[Lab], Answer], str]] = {
    "traces in GHz": (lambda lab: reflected(lab, frequency=1e-9 * lab.traces.frequency), "give it in Hz"),
    "traces at mV": (lambda lab: reflected(lab, device_voltage=1e3 * lab.traces.device_voltage), "device_voltage in V"),
    "dB at all biases": (lambda lab: reflected(lab, s11=20 * np.log10(np.abs(lab.traces.s11))), "s11 is real"),
    "decibels at all biases": (lambda lab: converted(lab, decibels), "amplitude of s11 were decibels"),
    "power at all biases": (lambda lab: converted(lab, lambda s11: np.abs(s11) * s11), "amplitude of s11 were a power"),
    "degrees at all biases": (lambda lab: converted(lab, degrees), "from a phase in degrees"),
    "traces at mV, nothing known": (
        lambda lab: reflected(lab, prior=None, device_voltage=1e3 * lab.traces.device_voltage),
        "give device_voltage in V",
    ),
    "two frequencies": (
        lambda lab: reflected(lab, frequency=lab.traces.frequency[[90, 110]], s11=lab.traces.s11[:, [90, 110]]),
        "2 frequencies are too few",
    ),
    "a point missing in each trace": (
        lambda lab: reflected(lab, s11=np.where(np.eye(31, 201, 50), np.nan, lab.traces.s11)),
        "0 usable traces are too few; .* 31 of 31 have a value that is not finite",
    ),
    "another gap": (lambda lab: reflected(lab, prior=other_device(junction={"gap": 190e-6})), "contradict what"),
    "one side of the resonance": (
        lambda lab: reflected(lab, frequency=lab.traces.frequency[:85], s11=lab.traces.s11[:, :85]),
        "has one side of it only",
    ),
    "impossible cross-talk held": (
        lambda lab: reflected(lab, fixed={"fano_real": 0.9}),
        "fano_real is held at 0.9",
    ),
    "warmer": (lambda lab: reflected(lab, prior=other_device(island={"temperature": 0.15})), "contradict what"),
    "jitter from trace to trace": (lambda lab: shifted(lab, 0.01 * WIDTH * noise(31, 1)), "from trace to trace"),
    "jitter from point to point": (lambda lab: shifted(lab, 0.01 * WIDTH * noise(31, 201)), "from point to point"),
    "bent at all biases": (lambda lab: shifted(lab, 0.01 * WIDTH * power_in_resonator(lab)), "resonance looks bent"),
    "multiplicative noise at all biases": (
        lambda lab: reflected(lab, s11=lab.traces.s11 * (1 + 0.01 * noise(31, 201))),
        "",
    ),
    "compressed amplifier": (lambda lab: emitted(lab, compressed(lab)), "the amplifier is compressed"),
    "gain ripple": (lambda lab: emitted(lab, rippling(lab, 2.0)), "the gain is not flat over the line"),
    "gain ripple in a few periods": (
        lambda lab: emitted(lab, rippling(lab, 0.6, 2.8)),
        "the gain is not flat over the line",
    ),
    "a gain that is slightly tilted": (
        lambda lab: emitted(lab, lab.spectra.spectrum * 10 ** (0.01 * np.linspace(-1, 1, 301))),
        "",
    ),
    "a gain that bends": (lambda lab: emitted(lab, bending(lab, 1.0)), ""),
    "spurs": (lambda lab: emitted(lab, with_spurs(lab)), ""),
    "dBm": (lambda lab: emitted(lab, 10 * np.log10(1e3 * lab.spectra.spectrum)), "no power density is negative"),
    "dB of the spectra": (lambda lab: emitted(lab, -10 * np.log10(lab.spectra.spectrum)), "in W/Hz, not in dB"),
    "amplitude of the spectra": (lambda lab: emitted(lab, np.sqrt(lab.spectra.spectrum)), "not its square root"),
    "spectra in GHz": (lambda lab: emitted(lab, frequency=1e-9 * lab.spectra.frequency), "give frequency in Hz"),
    "fridge in mK": (lambda lab: emitted(lab, fridge_temperature=20.0), "give it in K"),
    "fridge read too warm": (lambda lab: emitted(lab, fridge_temperature=0.5), "nothing is colder than the fridge"),
    "another frequency": (lambda lab: emitted(lab, prior=rates_of(lab, frequency=4.668e9)), "contradict what"),
    "weaker junctions": (lambda lab: emitted(lab, prior=rates_of(lab, damping_junction=3e7)), "contradict what"),
}

MISSES = {
    "an offset that drifts": "one sweep in one direction does not tell a linear drift from a leak: sweep up and down",
}
CURVES["an offset that drifts"] = changed(lambda v, i: (v, i + 1e-11 * drift(i.size))), "drift"

TABLE = CURVES | TRACES | BIASES
# The quick rows of their kinds: "two devices, sorted", "another gap", "decibels at all biases" and those of one trace,
# "another frequency", "wrong line stated, and the gap held".
SLOW = (
    "two devices",
    "warmer",
    "power at all biases",
    "degrees at all biases",
    "weaker junctions",
    "wrong gap held, of an island that heats",
    "true gap held, the voltage read slightly too large",
    "a sweep to fifty gaps",
    "most points at one bias",
)


def marks(name: str) -> list[pytest.MarkDecorator]:
    missed = [pytest.mark.xfail(reason=MISSES[name], strict=True)] if name in MISSES else []
    return missed + [pytest.mark.long] * (name in SLOW)


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in TABLE])
def test_the_answer_is_right_or_the_kind_is_told(name: str, lab: Lab) -> None:
    fit, told = TABLE[name]
    try:
        answer = fit(lab)
    except FitError as error:
        assert told, error
        assert re.search(told, str(error)), error
        return
    if told:
        assert any(re.search(told, text) for text in answer.fit.warnings), (answer.fit.warnings, answer.pulls)
    else:
        assert not answer.fit.warnings
        assert max(map(abs, answer.pulls.values())) < 4, answer.pulls


@pytest.mark.parametrize("jitter", [0.003, 0.01, 0.1])
def test_jitter_on_a_resonance_in_a_wide_band_is_no_reason_to_leave_it_out(jitter: float) -> None:
    answer = resonance(s11(jitter * WIDTH * noise(BAND.size, seed=7)))
    inside = np.abs(BAND - RESONANCE["resonance_frequency"]) < WIDTH / 2
    left_out = ~answer.fit.mask.reshape(2, -1).all(axis=0)
    assert left_out[inside].mean() < 0.1, f"{left_out[inside].sum()} of {inside.sum()}"
    assert abs(answer.pulls["resonance_frequency"]) < 4
    assert any("true uncertainties are up to" in text for text in answer.fit.warnings)


def test_a_hanger_has_the_form_of_a_reflection_and_the_result_says_what_its_rates_are_then() -> None:
    coupling, internal, centre = 30e6, 4e6, RESONANCE["resonance_frequency"]
    dip = 1 - coupling / (coupling + internal + 4j * np.pi * (BAND - centre))
    values = 0.02 * (dip + 1e-3 * (noise(BAND.size, seed=8) + 1j * noise(BAND.size, seed=9)))
    found = fit_resonance(BAND, values)
    line, inside = found["damping_line"], found["damping_internal"]
    assert abs(found["resonance_frequency"].value - centre) < 4 * found["resonance_frequency"].sigma
    assert abs(2 * line.value - coupling) < 4 * 2 * line.sigma
    assert abs(inside.value - line.value - internal) < 4 * (line.sigma + inside.sigma)
    assert "of a hanger the coupling rate is twice damping_line" in found.assumed["port"]


def test_rates_at_all_biases_say_of_which_port_they_are(lab: Lab) -> None:
    assert re.search("of a hanger .* damping_excess has damping_line in it", lab.rates.assumed["port"])
