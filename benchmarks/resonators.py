"""One reflection trace of 401 points: labnis beside the circle fits of others, on clean and on difficult data.

The peers: resonator-tools (Probst et al., RSI 86, 024706), abcd-rf-fit, scikit-rf (NPL report MAT 58) and qkit, all
from the package registry, each called as its documentation does.
"""

import contextlib
import io
import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from abcd_rf_fit import analyze
from numpy.typing import NDArray
from resonator_tools.circuit import reflection_port
from skrf import Frequency, Network
from skrf.qfactor import Qfactor

from benchmarks.timing import Line, promise, ratio_line, seconds
from labnis.fit import FitError, fit_resonance
from tests.fit.measuring import device, switched_on

# qkit announces itself on standard output.
with contextlib.redirect_stdout(io.StringIO()):
    from qkit.analysis.circle_fit.circle_fit_2019 import circuit as qkit_circuit

__all__ = ["resonators"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Action = Callable[[Real, Complex], "Found"]

PROMISED = 4e-3  # s
# scikit-rf iterates without a limit.
PATIENCE = 5.0  # s


@dataclass(frozen=True)
class Found:
    """Resonance frequency (Hz), loaded and internal quality factor, and what is said about them."""

    frequency: float
    loaded: float
    internal: float
    remark: str = ""


def _labnis(frequency: Real, s11: Complex, *, fano: bool = True) -> Found:
    fit = fit_resonance(frequency, s11, fano=fano)
    f0, internal = fit["resonance_frequency"].value, fit["damping_internal"].value
    said = f"warns: {fit.warnings[0].split(':')[0]}" if fit.warnings else ""
    return Found(f0, fit["loaded_quality"].value, 2 * np.pi * f0 / internal, said)


def _resonator_tools(frequency: Real, s11: Complex, *, delay: float | None = None) -> Found:
    port = reflection_port(frequency, s11)
    port.autofit(electric_delay=delay)
    return Found(port.fitresults["fr"], port.fitresults["Ql"], port.fitresults["Qi"])


def _abcd(frequency: Real, s11: Complex) -> Found:
    found = analyze(frequency, s11, "reflection")
    return Found(found.f_0, found.f_0 / found.kappa, found.f_0 / found.kappa_i)


def _scikit_rf(frequency: Real, s11: Complex) -> Found:
    """With the seven parameters that include the length of a line."""
    quality = Qfactor(Network(frequency=Frequency.from_f(frequency, unit="Hz"), s=s11), "reflection")
    found = quality.fit("NLQFIT7")
    return Found(float(found.f_L), float(found.Q_L), float(quality.Q_unloaded()))


def _qkit(frequency: Real, s11: Complex, *, delay: float | None = None) -> Found:
    port = qkit_circuit.reflection_port(frequency, s11)
    port.autofit(fixed_delay=delay)
    return Found(port.fr, port.Ql, port.Qi)


PEERS: dict[str, Action] = {
    "resonator-tools": _resonator_tools,
    "abcd-rf-fit": _abcd,
    "scikit-rf": _scikit_rf,
    "qkit": _qkit,
}
# On the trace without a delay, those that search for one badly are told.
TOLD: dict[str, Action] = PEERS | {
    "resonator-tools": partial(_resonator_tools, delay=0.0),
    "qkit": partial(_qkit, delay=0.0),
}


def _trace(offset: float = 0.0, noise: float = 1.0, **changes: Any) -> tuple[Real, Complex]:
    """401 points over 40 MHz; the resonance, at 4.67 GHz, `offset` (Hz) below the middle."""
    frequency = 4.67e9 + offset + np.linspace(-20e6, 20e6, 401)
    return frequency, switched_on(device(**changes), 1).reflection(frequency, 1e-6, 100 * noise**2)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """No warnings and prints of others between the lines of the report."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _said(action: Action, frequency: Real, s11: Complex) -> Found | str:
    """What comes out, or why nothing does."""

    def interrupt(*_: object) -> None:
        raise TimeoutError(f"no answer in {PATIENCE:.0f} s")

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        return action(frequency, s11)
    except FitError as error:
        return f"refuses: {str(error).split(':')[0]}"
    except Exception as error:  # noqa: BLE001 -- any way in which others fail is a result here
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _clean() -> list[Line]:
    """Without ripple, cable and cross-talk: all should agree."""
    frequency, s11 = _trace(cable={"ripple_db": 0.0, "delay": 0.0}, resonator={"fano": [1.0, 0.0]})
    whole = fit_resonance(frequency, s11)
    sigma = whole["resonance_frequency"].sigma
    ours = _labnis(frequency, s11)
    lines = [Line("clean trace, labnis", f"Q = {ours.loaded:.1f}", f"f₀ ± {sigma / 1e3:.2g} kHz")]
    for name, action in {"labnis without Fano term": partial(_labnis, fano=False), **TOLD}.items():
        found = _said(action, frequency, s11)
        if isinstance(found, str):
            lines.append(Line(f"  {name}", "no result", found))
            continue
        apart = [abs(found.loaded / ours.loaded - 1), abs(found.internal / ours.internal - 1)]
        agree = "" if max(apart) < 0.01 and abs(found.frequency / ours.frequency - 1) < 1e-3 else "DIFFERS: "
        shift = (found.frequency - ours.frequency) / sigma
        remark = f"{agree}f₀ {shift:+.1f}σ; loaded, internal Q {apart[0]:.1e}, {apart[1]:.1e} apart"
        lines.append(Line(f"  {name}", f"Q = {found.loaded:.1f}", remark))
    return lines


def _times() -> list[Line]:
    """Wall times on the trace as it is measured, with a cable and cross-talk."""
    frequency, s11 = _trace(cable={"ripple_db": 0.0})
    actions = [_labnis, *PEERS.values()]
    ours, *theirs = seconds(*[lambda a=action: _said(a, frequency, s11) for action in actions])
    remark = promise("less than 4 ms", ours < PROMISED)
    lines = [Line("one trace, 401 points, labnis", f"{ours * 1e3:.2f} ms", remark)]
    for name, time in zip(PEERS, theirs, strict=True):
        lines += [Line(f"  {name}", f"{time * 1e3:.1f} ms"), ratio_line(time / ours, 1)]
    return lines


def _difficult() -> list[Line]:
    """What each says where the background ripples, the resonance is at the band's edge and the noise is large."""
    traces = {
        "45 ns of cable": _trace(cable={"ripple_db": 0.0}),
        "1.2 dB ripple": _trace(),
        "edge, 3 dB ripple, 20 × noise": _trace(18e6, 20, cable={"ripple_db": 3.0}),
    }
    lines = []
    for title, (frequency, s11) in traces.items():
        lines.append(Line(f"{title}: error of f₀ (true Q = 1586)", ""))
        for name, action in {"labnis": _labnis, **PEERS}.items():
            found = _said(action, frequency, s11)
            if isinstance(found, str):
                lines.append(Line(f"  {name}", "no result", found))
                continue
            error = (found.frequency - 4.67e9) / 1e3
            lines.append(Line(f"  {name}", f"{error:+.1f} kHz", f"Q = {found.loaded:.4g} {found.remark}"))
    return lines


def resonators() -> list[Line]:
    """Values on a clean trace, times, and answers to difficult traces."""
    with _quietly():
        return [*_clean(), *_times(), *_difficult()]
