"""Perceptual evaluation of speech quality, by the package pesq (the ITU's C code)."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from undin.checks import check
from undin.errors import InputError, require
from undin.metrics.pairs import Score, Signal, by_keyword, check_pair, check_sr, score_each

Band = Literal["wb", "nb"]
CURE = "resample both signals to 16000 (or to 8000 for band='nb')"

# The C code keeps its utterances in arrays of 50 and writes past their end without looking: wrong scores, then a crash.
# An utterance lasts 0.2 s and more, and so does a pause that parts two:
# 20 s of anything hold about 50 at most, 20 s of speech far fewer.
MAX_SECONDS = 20


@by_keyword
def pesq(*, ref: ArrayLike, est: ArrayLike, sr: int, band: Band = "wb") -> Score:
    """PESQ as MOS-LQO, higher is better: 1.04 to 4.64 in wide band, 1.02 to 4.55 in narrow band.

    The two bands are different scales: never compare or average scores across them, and state the band in tables.

    Args:
        ref: (..., n_samples) clean, floating point, 0.25 to 20 s.
        est: (..., n_samples) its estimate.
        sr: sample rate of both in Hz: 16000, or 8000 for narrow band only.
        band: "wb" is P.862.2, wide band (50 to 7000 Hz); "nb" is P.862 mapped by P.862.1, narrow band (telephone).

    Returns:
        A float for (n_samples,), else (...) float64.

    Raises:
        InputError: shapes differ, a signal is not floating point or not finite, sr or band is not allowed, or the score
            is undefined: a signal is empty, silent, too short or too long, or no speech is found in it.
        MissingExtraError: pesq is not installed.

    Source: ITU-T P.862 (2001), P.862.1 (2003), P.862.2 (2007).
    """
    package = require("pesq", extra="pesq")
    sr = check_sr(sr)
    check("band", band, Band)
    if sr not in (8000, 16000):
        raise InputError(f"PESQ is defined at sr = 8000 and 16000 only; got {sr}: {CURE}")
    if band == "wb" and sr == 8000:
        raise InputError("wide-band PESQ needs sr = 16000; got 8000: pass band='nb' for narrow-band scores")
    r, e = check_pair("PESQ", ref, est)
    seconds = r.shape[-1] / sr
    if not 0.25 <= seconds <= MAX_SECONDS:
        raise InputError(
            f"PESQ is undefined: it needs 0.25 to {MAX_SECONDS} s; got {seconds:.3g} s: score pieces of 8 to 20 s and "
            "average them"
        )

    def score(ref: Signal, est: Signal) -> float:
        try:
            return float(package.pesq(sr, ref, est, band))
        except package.NoUtterancesError as error:
            raise InputError("PESQ is undefined: it finds no utterance (0.2 s of speech) in ref or est") from error
        except package.PesqError as error:
            raise InputError(f"PESQ is undefined: {error}") from error

    return score_each(score, r, e)


@by_keyword
def pesq_raw(*, ref: ArrayLike, est: ArrayLike, sr: int) -> Score:
    """PESQ on the scale of P.862, before the mapping to opinions: -0.5 to 4.5, narrow band, higher is better.

    The value in older papers: the narrow-band `pesq` y, mapped back:
    y = 0.999 + 4 / (1 + exp(4.6607 - 1.4945 x)).

    Args:
        ref: as for `pesq`.
        est: as for `pesq`.
        sr: sample rate of both in Hz: 8000 or 16000.

    Returns:
        A float for (n_samples,), else (...) float64.

    Raises:
        InputError: as for `pesq`.
        MissingExtraError: pesq is not installed.

    Source: ITU-T P.862 (2001); the map is that of P.862.1 (2003).
    """
    y = np.asarray(pesq(ref=ref, est=est, sr=sr, band="nb"))
    x = (4.6607 - np.log(4 / (y - 0.999) - 1)) / 1.4945
    return x if x.ndim else float(x)
