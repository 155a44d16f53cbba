"""The only mixer in the repository: the arithmetic of levels, on arrays.

n' = n · level(s)/rms(n) · 10^(-snr_db/20),   y = s + n',   and y, s, n' times one factor where a peak passes 0.99.

level(s) is the RMS of the whole clip, or of the speech without its pauses (ITU-T P.56). Several talkers are summed to
one s and several noises to one n first, each at its level relative to the first.

Gains are kept in dB on a grid of 1e-6 dB: finer than anything audible and coarser than what summation order or
a processor's arithmetic changes in an RMS, so that a gain written to a manifest is the gain that was applied.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from undin.audio import active_level_db, rms_db
from undin.errors import InputError
from undin.mixing.manifest import MixtureRow, SnrOver

Samples = NDArray[np.float32]

PEAK = 0.99  # of full scale: a mixture that would pass it is brought down to it
FADE = 160  # samples over which a looped noise crosses from its end to its start


@dataclass(frozen=True)
class Mixture:
    """Speech, noise and their exact sum: noisy == speech + noise without a room.

    Attributes:
        noisy: (n_samples,) float32.
        speech: (n_samples,) float32, the reference; the sum of `sources`.
        noise: (n_samples,) float32; zeros without noise.
        sources: (n_src, n_samples) float32, the reference of each talker.
        onset: first sample used of the (first) noise recording.
        noise_gain_db: gain of the (first) noise to reach the SNR.
        scale_db: gain applied to all afterwards, for the level or to keep the peak below full scale.
        row: of the manifest, if there is one.
        voices: of an example whose talkers return, a number for each source, the same for the same voice; divided by
            `undin.mixing.examples.PERSON`, and rounded down, the same for the same person at another speed too.
    """

    noisy: Samples
    speech: Samples
    noise: Samples
    sources: Samples
    onset: int
    noise_gain_db: float
    scale_db: float
    row: MixtureRow | None = None
    voices: tuple[int, ...] = ()

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
        noise: (any length,) floating point at the same sample rate; cropped if longer, looped with a cross-fade
            of 160 samples if shorter.
        snr_db: 20 log10 of rms(speech) / rms(noise that was added).
        level_db: RMS of the mixture in dB re full scale; None keeps the level of the speech.
        onset: first sample of the noise to use, or a generator to draw it.

    Returns:
        the Mixture. If a peak of noisy, speech or noise would exceed 0.99, all three are scaled by one factor to that
        peak, recorded in `scale_db`.

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
    gain_db = find_gain(rms_db(s), rms_db(n), snr_db)
    sources, noise = amplified([s], [0.0]), amplified([n], [gain_db])
    scale_db = find_scale([sources[0] + noise[0], sources[0], noise[0]], level_db)
    if scale_db:
        sources, noise = amplified([s], [scale_db]), amplified([n], [gain_db + scale_db])
    return Mixture(sources[0] + noise[0], sources[0], noise[0], sources, onset, gain_db, scale_db)


def db_to_factor(gain_db: float) -> float:
    """Amplitude factor of a gain in dB."""
    return float(10 ** (gain_db / 20))


def draw_onset(n_samples: int, n_noise: int, rng: np.random.Generator) -> int:
    """Draw where to start in a noise of n_noise samples, evenly over the onsets that `cut` takes.

    Args:
        n_samples: of the speech.
        n_noise: of the noise.
        rng: draws it.
    """
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
        raise InputError(f"onset must be in 0 to {last} for {len(noise)} samples of noise; got {onset}")
    if len(noise) >= n_samples:
        return noise[onset : onset + n_samples]
    # One period is the noise without its last `fade` samples; these are laid over its start with powers that sum to 1,
    # because the end and the start of a noise are uncorrelated.
    fade = min(FADE, len(noise) // 2)
    period = len(noise) - fade
    angle = (np.arange(fade) + 0.5) / max(fade, 1) * (np.pi / 2)
    loop = noise[:period].copy()
    loop[:fade] = loop[:fade] * np.sin(angle) + noise[period:] * np.cos(angle)
    start = onset % period
    return np.resize(np.concatenate([loop[start:], loop[:start]]), n_samples)


def find_gain(level_s_db: float, level_n_db: float, snr_db: float) -> float:
    """Gain in dB, to 1e-6, that brings a noise of level_n_db snr_db under a speech of level_s_db.

    Args:
        level_s_db, level_n_db: of speech and noise, dB re full scale.
        snr_db: the SNR to reach.

    Raises:
        InputError: one of the two is silent, or snr_db is not finite.
    """
    if not math.isfinite(snr_db):
        raise InputError(f"snr_db must be finite; got {snr_db}")
    for name, level_db in (("speech", level_s_db), ("noise", level_n_db)):
        if level_db == -math.inf:
            raise InputError(f"the {name} is silent over the complete mixture, so its SNR is undefined: remove it")
    return round(level_s_db - level_n_db - snr_db, 6)


def find_scale(signals: Sequence[Samples], level_db: float | None) -> float:
    """Gain in dB, to 1e-6, that brings the first of the signals to level_db and lets none of them pass `PEAK`.

    Raises:
        InputError: level_db is not finite, or the first signal is silent.
    """
    if level_db is None:
        scale_db = 0.0
    elif not math.isfinite(level_db) or (now_db := rms_db(signals[0])) == -math.inf:
        raise InputError(f"level_db must be finite, and the mixture must not be silent; got {level_db}")
    else:
        scale_db = level_db - now_db
    peak = max(max(float(x.max()), -float(x.min())) for x in signals)
    if peak * db_to_factor(scale_db) > PEAK:
        scale_db = 20 * math.log10(PEAK / peak)
    return round(scale_db, 6)


def amplified(signals: Sequence[Samples], gains_db: Sequence[float]) -> Samples:
    """Stack signals times gains, (n, n_samples): the products in float64, rounded once to float32."""
    y = np.empty((len(signals), len(signals[0])), np.float32)
    for k, (x, gain_db) in enumerate(zip(signals, gains_db, strict=True)):
        np.multiply(x, np.float64(db_to_factor(gain_db)), out=y[k], casting="same_kind")
    return y


def level_db(x: Samples, sr: int, over: SnrOver) -> float:
    """Level of speech in dB re full scale over the whole clip or without its pauses; -inf for silence.

    Args:
        x: (n_samples,).
        sr: in Hz.
        over: "clip", or "active" for speech without its pauses.
    """
    return rms_db(x) if over == "clip" else active_level_db(x, sr)


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
