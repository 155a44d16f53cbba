"""The metrics by name, with what a report must say of each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from undin.audio import resample
from undin.metrics.composite import composite, llr, wss
from undin.metrics.fw_segmental_snr import fw_segmental_snr
from undin.metrics.lsd import lsd
from undin.metrics.pairs import Score
from undin.metrics.pesq import pesq, pesq_raw
from undin.metrics.sdr import sdr
from undin.metrics.si_sdr import si_sdr
from undin.metrics.snr import segmental_snr, snr
from undin.metrics.stoi import estoi, stoi


@dataclass(frozen=True)
class Metric:
    """A metric of one reference and one estimate, called as `metric(ref, est, sr)` whatever it is.

    Attributes:
        name: its key in `METRICS` and its column in tables; the unit is in it where it is dB.
        label: how prose names it.
        unit: "dB", "MOS" or what else the numbers are; empty for a plain number.
        digits: decimals worth printing.
        score: (ref, est, sr) -> score.
        higher_is_better: its direction.
        extra: of `pip install undin[extra]`; empty where numpy is enough.
        rates: the sample rates it is defined at, Hz; empty for any. Signals of a higher rate are resampled to the
            highest of these below.
        min_sr: the least sample rate it takes, Hz.
    """

    name: str
    label: str
    unit: str
    digits: int
    score: Callable[[ArrayLike, ArrayLike, int], Score]
    higher_is_better: bool = True
    extra: str = ""
    rates: tuple[int, ...] = ()
    min_sr: int = 1

    def __call__(self, ref: ArrayLike, est: ArrayLike, sr: int) -> Score:
        """Score (..., n_samples) against (..., n_samples) at sr; raises what the metric raises."""
        rate = self.rate_at(sr) or sr  # at a rate that is too low the metric itself says what it needs
        if rate != sr:
            ref, est = (resample(np.asarray(x), sr, rate) for x in (ref, est))
        return self.score(ref, est, rate)

    def rate_at(self, sr: int) -> int | None:
        """Sample rate at which signals of rate sr are scored, Hz; None where sr is too low."""
        if sr < self.min_sr:
            return None
        return max((rate for rate in self.rates or (sr,) if rate <= sr), default=None)

    @property
    def title(self) -> str:
        """Label with unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


# fmt: off
METRICS: dict[str, Metric] = {
    "pesq_wb": Metric("pesq_wb", "PESQ", "wide band, MOS", 2,
        lambda r, e, sr: pesq(ref=r, est=e, sr=sr), extra="pesq", rates=(16000,)),
    "pesq_nb": Metric("pesq_nb", "PESQ", "narrow band, MOS", 2,
        lambda r, e, sr: pesq(ref=r, est=e, sr=sr, band="nb"), extra="pesq", rates=(8000, 16000)),
    "pesq_raw": Metric("pesq_raw", "PESQ", "narrow band, raw", 2,
        lambda r, e, sr: pesq_raw(ref=r, est=e, sr=sr), extra="pesq", rates=(8000, 16000)),
    "csig": Metric("csig", "CSIG", "PESQ wide band, MOS", 2,
        lambda r, e, sr: composite(ref=r, est=e, sr=sr).csig, extra="pesq", rates=(16000,)),
    "cbak": Metric("cbak", "CBAK", "PESQ wide band, MOS", 2,
        lambda r, e, sr: composite(ref=r, est=e, sr=sr).cbak, extra="pesq", rates=(16000,)),
    "covl": Metric("covl", "COVL", "PESQ wide band, MOS", 2,
        lambda r, e, sr: composite(ref=r, est=e, sr=sr).covl, extra="pesq", rates=(16000,)),
    "stoi": Metric("stoi", "STOI", "", 3,
        lambda r, e, sr: stoi(ref=r, est=e, sr=sr), extra="eval"),
    "estoi": Metric("estoi", "ESTOI", "", 3,
        lambda r, e, sr: estoi(ref=r, est=e, sr=sr), extra="eval"),
    "si_sdr_db": Metric("si_sdr_db", "SI-SDR", "dB", 1,
        lambda r, e, sr: si_sdr(ref=r, est=e)),
    "sdr_db": Metric("sdr_db", "SDR", "512 taps, dB", 1,
        lambda r, e, sr: sdr(ref=r, est=e), extra="eval"),
    "snr_db": Metric("snr_db", "SNR", "dB", 1,
        lambda r, e, sr: snr(ref=r, est=e)),
    "segsnr_db": Metric("segsnr_db", "segmental SNR", "dB", 1,
        lambda r, e, sr: segmental_snr(ref=r, est=e, sr=sr)),
    "fwsegsnr_db": Metric("fwsegsnr_db", "fwSegSNR", "dB", 1,
        lambda r, e, sr: fw_segmental_snr(ref=r, est=e, sr=sr), min_sr=8000),
    "lsd_db": Metric("lsd_db", "LSD", "dB", 1,
        lambda r, e, sr: lsd(ref=r, est=e, sr=sr), higher_is_better=False),
    "llr": Metric("llr", "LLR", "", 2,
        lambda r, e, sr: llr(ref=r, est=e, sr=sr), higher_is_better=False),
    "wss": Metric("wss", "WSS", "", 1,
        lambda r, e, sr: wss(ref=r, est=e, sr=sr), higher_is_better=False, min_sr=8000),
}
# fmt: on
