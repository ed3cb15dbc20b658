"""What a spectrum analyzer's detectors and averaging scales make of noise.

The power of Gaussian noise behind a resolution filter is exponentially distributed; within one display bucket the
analyzer sees `bandwidth × dwell` independent samples of it. Averaging those samples on a power scale is unbiased. On a
logarithmic or voltage scale it is not: the display reads 2.51 dB or 1.05 dB low (Keysight application note
"Spectrum and signal analyzer measurements and noise", 5966-4008E). Peak detectors read the largest or smallest sample.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import digamma, gammaln, polygamma

__all__ = ["AverageType", "Detector", "Response", "noise_response"]

Detector = Literal["NORM", "AVER", "POS", "SAMP", "NEG"]
AverageType = Literal["RMS", "LOG", "SCAL"]

# Beyond this many samples the exact expression for LOG loses digits and its first asymptotic term has enough.
_ASYMPTOTIC = 1e4


@dataclass(frozen=True)
class Response:
    """How some of the points of a trace show noise.

    Attributes
    ----------
    points
        Which points of the trace.
    factor
        Mean of the displayed power over the true one.
    samples
        Number of independent power samples whose mean scatters as much, relative to itself.

    """

    points: slice
    factor: float
    samples: float


def noise_response(
    detector: Detector, average_type: AverageType, *, bucket_samples: float, video_samples: float, sweeps: int
) -> tuple[Response, ...]:
    """Response of `detector` and the averaging of `sweeps` sweeps to noise.

    Parameters
    ----------
    detector
        Trace detector; NORM ("rosenfell") shows maximum and minimum in turn.
    average_type
        Scale on which the average detector, the video filter and the trace average work.
    bucket_samples
        Independent samples in one display bucket, noise bandwidth × dwell time. Less than one counts as one.
    video_samples
        Independent samples that the video filter averages; the average detector bypasses it.
    sweeps
        Sweeps averaged, at least 1.

    """
    bucket = max(bucket_samples, 1.0)
    everywhere = slice(None)
    if detector == "AVER":
        return (_averaged(everywhere, average_type, bucket * sweeps),)
    if detector == "SAMP":
        return (_averaged(everywhere, average_type, max(min(video_samples, bucket), 1.0) * sweeps),)
    if detector == "POS":
        return (_largest(everywhere, bucket, sweeps),)
    if detector == "NEG":
        return (_smallest(everywhere, average_type, bucket, sweeps),)
    return (_largest(slice(0, None, 2), bucket, sweeps), _smallest(slice(1, None, 2), average_type, bucket, sweeps))


def _averaged(points: slice, average_type: AverageType, samples: float) -> Response:
    """Mean of `samples` exponential variables on the scale of `average_type`, shown as power."""
    if average_type == "RMS":
        return Response(points, 1.0, samples)
    if average_type == "SCAL":
        # Rayleigh amplitude: E[(mean a)²] is exact; its variance is exact at 1 and in the limit of many samples.
        variance = (4 * (4 / np.pi - 1) - (16 / np.pi - 5) / samples) / samples
        return Response(points, float(np.pi / 4 + (1 - np.pi / 4) / samples), float(1 / variance))
    if samples > _ASYMPTOTIC:
        return Response(points, float(np.exp(-np.euler_gamma)), float(samples * 6 / np.pi**2))
    # Geometric mean of n exponential variables: E[x^s] = Γ(1 + s/n)^n.
    first, second = (samples * gammaln(1 + power / samples) for power in (1, 2))
    return Response(points, float(np.exp(first)), float(1 / np.expm1(second - 2 * first)))


def _largest(points: slice, bucket: float, sweeps: int) -> Response:
    """Largest of `bucket` exponential variables: mean H(n), variance Σ 1/k², both for non-integer n too."""
    mean = float(digamma(bucket + 1)) + np.euler_gamma
    variance = float(np.pi**2 / 6 - polygamma(1, bucket + 1))
    return Response(points, mean, sweeps * mean**2 / variance)


def _smallest(points: slice, average_type: AverageType, bucket: float, sweeps: int) -> Response:
    """Smallest of `bucket` exponential variables: exponential itself, with 1/n of the mean."""
    averaged = _averaged(points, average_type, sweeps)
    return Response(points, averaged.factor / bucket, averaged.samples)
