"""Detectors and averaging scales against brute-force statistics of exponentially distributed power."""

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from sim_instruments.panels.keysight_detectors import AverageType, Detector, noise_response

TRIALS = 40_000
Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]
SCALES: dict[str, tuple[Function, Function]] = {
    "RMS": (lambda power: power, lambda mean: mean),
    "LOG": (np.log, np.exp),
    "SCAL": (np.sqrt, np.square),
}
BUCKETS: dict[str, Function] = {
    "POS": lambda power: power.max(axis=-1),
    "NEG": lambda power: power.min(axis=-1),
}


def displayed(detector: str, scale: str, samples: int, sweeps: int) -> NDArray[np.float64]:
    """Power an analyzer shows for noise of unit power, drawn sample by sample, shape (TRIALS,)."""
    random = np.random.default_rng(7)
    forward, backward = SCALES[scale]
    if detector == "AVER":
        return np.asarray(backward(forward(random.exponential(size=(TRIALS, samples * sweeps))).mean(axis=-1)))
    power = BUCKETS[detector](random.exponential(size=(TRIALS, sweeps, samples)))
    return np.asarray(backward(forward(power).mean(axis=-1)))


@pytest.mark.parametrize("samples", [1, 3, 50])
@pytest.mark.parametrize("scale", ["RMS", "LOG", "SCAL"])
@pytest.mark.parametrize("detector", ["AVER", "NEG"])
def test_mean_and_scatter_are_those_of_the_samples(detector: str, scale: str, samples: int) -> None:
    [response] = noise_response(
        cast("Detector", detector),
        cast("AverageType", scale),
        bucket_samples=samples,
        video_samples=1,
        sweeps=4,
    )
    shown = displayed(detector, scale, samples, 4)
    relative = shown.std() / shown.mean()
    assert shown.mean() == pytest.approx(response.factor, rel=5 * relative / np.sqrt(TRIALS))
    assert relative == pytest.approx(response.samples**-0.5, rel=0.03)


def test_positive_peak_reads_the_largest_sample() -> None:
    [response] = noise_response("POS", "RMS", bucket_samples=50, video_samples=1, sweeps=4)
    shown = displayed("POS", "RMS", 50, 4)
    assert shown.mean() == pytest.approx(response.factor, rel=5e-3)
    assert shown.std() / shown.mean() == pytest.approx(response.samples**-0.5, rel=0.03)


@pytest.mark.parametrize(("scale", "decibel"), [("RMS", 0.0), ("LOG", -2.507), ("SCAL", -1.049)])
@pytest.mark.parametrize("samples", [5e3, 2e4, 1e9])
def test_many_samples_read_low_by_the_published_amount(scale: str, decibel: float, samples: float) -> None:
    [response] = noise_response("AVER", cast("AverageType", scale), bucket_samples=samples, video_samples=1, sweeps=1)
    assert 10 * np.log10(response.factor) == pytest.approx(decibel, abs=2e-3)


def test_sample_detector_averages_over_sweeps_only() -> None:
    [response] = noise_response("SAMP", "RMS", bucket_samples=1e4, video_samples=0.3, sweeps=25)
    assert response.samples == 25


def test_normal_detector_shows_peaks_and_pits_in_turn() -> None:
    high, low = noise_response("NORM", "RMS", bucket_samples=100, video_samples=1, sweeps=1)
    assert (high.points, low.points) == (slice(0, None, 2), slice(1, None, 2))
    assert high.factor > 5
    assert low.factor == pytest.approx(0.01)
