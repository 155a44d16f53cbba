"""The only mixer in the repository: s and n at an SNR over the whole clip.

n' = n · rms(s)/rms(n) · 10^(-snr_db/20),   y = s + n',   and y, s, n' times one factor where a peak would reach 1.

Gains are kept in dB on a grid of 1e-6 dB: that is finer than anything heard and coarser than what summation order or
a processor's arithmetic changes in an RMS, so that a gain written to a manifest is the gain that was applied.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from undin.errors import InputError

Samples = NDArray[np.float32]

PEAK = 0.99  # of full scale: where a mixture that would reach 1 is brought to
FADE = 160  # samples over which a looped noise crosses from its end to its start


@dataclass(frozen=True)
class Mixture:
    """Speech, noise and their sum, exactly: noisy == speech + noise.

    Attributes:
        noisy: (n_samples,) float32.
        speech: (n_samples,) float32, the reference.
        noise: (n_samples,) float32.
        onset: sample of the noise recording at which it was started.
        noise_gain_db: what the noise was amplified by to reach the SNR.
        scale_db: what all three were then amplified by, for the level or to keep the peak under full scale.
    """

    noisy: Samples
    speech: Samples
    noise: Samples
    onset: int
    noise_gain_db: float
    scale_db: float

    @property
    def scale(self) -> float:
        """`scale_db` as a factor."""
        return db_to_factor(self.scale_db)


def mix(
    speech: ArrayLike,
    noise: ArrayLike,
    *,
    snr_db: float,
    level_db: float | None = None,
    onset: int | np.random.Generator = 0,
) -> Mixture:
    """Add noise to speech at a signal-to-noise ratio over the whole clip.

    Args:
        speech: (n_samples,) floating point.
        noise: (any length,) floating point at the same sample rate; cut where it is longer, looped with a cross-fade
            of 160 samples where it is shorter.
        snr_db: 20 log10 of rms(speech) / rms(noise that was added).
        level_db: RMS of the mixture in dB re full scale; None leaves the speech as it is.
        onset: first sample of the noise to use, or a generator to draw it.

    Returns:
        the Mixture. Where a peak of noisy, speech or noise would reach 1, all three are scaled by one factor to a
        peak of 0.99, and `scale_db` says so.

    Raises:
        InputError: an input is not one-dimensional floating point, not finite, empty or silent; onset out of range.

    >>> rng = np.random.default_rng(0)
    >>> m = mix(0.1 * rng.standard_normal(16000), rng.standard_normal(4000), snr_db=5, onset=rng)
    >>> round(float(20 * np.log10(m.speech.std() / m.noise.std())), 2)
    5.0
    """
    s, n = _checked("speech", speech), _checked("noise", noise)
    onset = onset if isinstance(onset, int) else draw_onset(len(s), len(n), onset)
    n = cut(n, len(s), onset)
    return scaled(s, n, onset, *find_gains(s, n, snr_db, level_db))


def db_to_factor(gain_db: float) -> float:
    """Amplitude factor of a gain in dB."""
    return float(10 ** (gain_db / 20))


def draw_onset(n_samples: int, n_noise: int, rng: np.random.Generator) -> int:
    """Draw where to start in a noise of n_noise samples, evenly over the onsets that `cut` takes."""
    return int(rng.random() * (n_noise - n_samples + 1 if n_noise >= n_samples else n_noise))


def cut(noise: Samples, n_samples: int, onset: int) -> Samples:
    """Take n_samples of a noise from onset on, around and around where it is shorter.

    Args:
        noise: (any length,).
        n_samples: how many to take.
        onset: 0 ... len(noise) - n_samples, or 0 ... len(noise) - 1 where it is looped.

    Returns:
        (n_samples,).

    Raises:
        InputError: onset is out of range.
    """
    last = len(noise) - n_samples if len(noise) >= n_samples else len(noise) - 1
    if not 0 <= onset <= last:
        raise InputError(f"onset must lie in 0 ... {last} for {len(noise)} samples of noise; got {onset}")
    if len(noise) >= n_samples:
        return noise[onset : onset + n_samples]
    # One period is the noise without its last `fade` samples; these are laid over its start with powers that sum to 1,
    # because the end and the start of a noise are uncorrelated.
    fade = min(FADE, len(noise) // 2)
    period = len(noise) - fade
    angle = (np.arange(fade, dtype=np.float32) + 0.5) / np.float32(max(fade, 1)) * np.float32(np.pi / 2)
    loop = noise[:period].copy()
    loop[:fade] *= np.sin(angle)
    loop[:fade] += noise[period:] * np.cos(angle)
    return loop[(onset + np.arange(n_samples)) % period]


def find_gains(s: Samples, n: Samples, snr_db: float, level_db: float | None = None) -> tuple[float, float]:
    """Find (noise_gain_db, scale_db) that give speech s and as long a noise n the SNR and the level.

    Raises:
        InputError: s or n is silent, snr_db or level_db is not finite.
    """
    for name, value in (("snr_db", snr_db), ("level_db", level_db or 0.0)):
        if not math.isfinite(value):
            raise InputError(f"{name} must be finite; got {value}")
    rms_s, rms_n = rms(s), rms(n)
    for name, value in (("speech", rms_s), ("noise", rms_n)):
        if not value:
            raise InputError(f"{name} is silent over the {len(s)} samples of the mixture: its SNR is undefined")
    noise_gain_db = round(20 * math.log10(rms_s / rms_n) - snr_db, 6)
    added = n * np.float64(db_to_factor(noise_gain_db))
    y = s + added
    scale_db = 0.0 if level_db is None else level_db - 20 * math.log10(rms(y))
    peak = max(float(np.abs(part).max()) for part in (y, s, added))
    if peak * db_to_factor(scale_db) >= 1:
        scale_db = 20 * math.log10(PEAK / peak)
    return noise_gain_db, round(scale_db, 6)


def scaled(s: Samples, n: Samples, onset: int, noise_gain_db: float, scale_db: float) -> Mixture:
    """Apply gains that are known: the products in float64, rounded once to float32, and their sum."""
    speech = (s * np.float64(db_to_factor(scale_db))).astype(np.float32)
    noise = (n * np.float64(db_to_factor(scale_db + noise_gain_db))).astype(np.float32)
    return Mixture(speech + noise, speech, noise, onset, noise_gain_db, scale_db)


def rms(x: NDArray[np.floating]) -> float:
    """Root mean square of all samples, summed in float64."""
    return math.sqrt(float(np.mean(np.square(x, dtype=np.float64))))


def _checked(name: str, x: ArrayLike) -> Samples:
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating) or x.ndim != 1 or not len(x):
        raise InputError(
            f"{name} must be floating point of shape (n_samples,) with at least one sample; got {x.dtype} of shape "
            f"{x.shape}: mix channels down, and divide integers by their full scale"
        )
    x = x.astype(np.float32, copy=False)
    if not (finite := np.isfinite(x)).all():
        raise InputError(f"{name} must be finite; sample {int(np.argmin(finite))} is {x[np.argmin(finite)]}")
    return x
