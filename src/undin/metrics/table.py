"""The metrics by name, with the notes that reports show for each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from undin.audio import resample
from undin.errors import InputError
from undin.metrics.composite import Composite, composite, llr, wss
from undin.metrics.dnsmos import Dnsmos, dnsmos
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
    """A metric of an estimate, called as `metric(ref, est, sr)` even if it needs no reference.

    Attributes:
        name: its key in `METRICS` and its column in tables; ends in _db if the unit is dB.
        label: its name in text.
        unit: "dB", "MOS" or another; empty for a plain number.
        digits: decimals to print.
        score: (ref, est, sr) -> score, or a record of several.
        higher_is_better: its direction.
        extra: of `pip install undin[extra]`; empty where numpy is enough.
        rates: the sample rates it is defined at, Hz; empty for any. Signals of a higher rate are resampled to the
            highest of these below.
        min_sr: the least sample rate it takes, Hz.
        part: name of its field where `score` returns a record; metrics of one record share its computation.
        reference: whether it needs one; otherwise ref is ignored and may be None.
    """

    name: str
    label: str
    unit: str
    digits: int
    score: Callable[[Any, ArrayLike, int], Any]
    higher_is_better: bool = True
    extra: str = ""
    rates: tuple[int, ...] = ()
    min_sr: int = 1
    part: str = ""
    reference: bool = True

    def __call__(self, ref: ArrayLike | None, est: ArrayLike, sr: int) -> Score:
        """Score (..., n_samples) against (..., n_samples) at sr; passes on the metric's errors."""
        return self._own(self._score(ref, est, sr))

    def _score(self, ref: ArrayLike | None, est: ArrayLike, sr: int) -> Any:
        if self.reference and ref is None:
            raise InputError(f"{self.name} needs a reference: pass ref, or choose a metric such as dnsmos_ovrl")
        rate = self.rate_at(sr) or sr  # at too low a rate the metric raises its own error
        if rate != sr:
            est = resample(np.asarray(est), sr, rate)
            ref = None if ref is None else resample(np.asarray(ref), sr, rate)
        return self.score(ref, est, rate)

    def _own(self, scores: Any) -> Score:
        own: Score = getattr(scores, self.part) if self.part else scores
        return own

    def rate_at(self, sr: int) -> int | None:
        """Sample rate at which signals of rate sr are scored, Hz; None where sr is too low."""
        if sr < self.min_sr:
            return None
        return max((rate for rate in self.rates or (sr,) if rate <= sr), default=None)

    @property
    def title(self) -> str:
        """Label with unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


def score_all(
    metrics: Iterable[Metric], ref: ArrayLike | None, est: ArrayLike, sr: int
) -> dict[str, Score | InputError]:
    """Score one estimate with several metrics; metrics of one record are computed once.

    Args:
        metrics: the metrics.
        ref: (..., n_samples) clean; None where no metric needs it.
        est: (..., n_samples) its estimate.
        sr: sample rate in Hz.

    Returns:
        name -> score, or the reason why it is undefined.

    Raises:
        MissingExtraError: the package of a metric is not installed.
    """
    records: dict[object, Any] = {}
    found: dict[str, Score | InputError] = {}
    for metric in metrics:
        try:
            if metric.score not in records:
                records[metric.score] = metric._score(ref, est, sr)
            found[metric.name] = metric._own(records[metric.score])
        except InputError as error:
            found[metric.name] = error
    return found


def _composite(ref: ArrayLike, est: ArrayLike, sr: int) -> Composite:
    return composite(ref=ref, est=est, sr=sr)


def _dnsmos(_: object, est: ArrayLike, sr: int) -> Dnsmos:
    return dnsmos(est=est, sr=sr)


# fmt: off
METRICS: dict[str, Metric] = {metric.name: metric for metric in (
    Metric("pesq_wb", "PESQ", "wide band, MOS", 2,
           lambda r, e, sr: pesq(ref=r, est=e, sr=sr), extra="pesq", rates=(16000,)),
    Metric("pesq_nb", "PESQ", "narrow band, MOS", 2,
           lambda r, e, sr: pesq(ref=r, est=e, sr=sr, band="nb"), extra="pesq", rates=(8000, 16000)),
    Metric("pesq_raw", "PESQ", "narrow band, raw", 2,
           lambda r, e, sr: pesq_raw(ref=r, est=e, sr=sr), extra="pesq", rates=(8000, 16000)),
    Metric("csig", "CSIG", "PESQ wide band, MOS", 2, _composite, extra="pesq", rates=(16000,), part="csig"),
    Metric("cbak", "CBAK", "PESQ wide band, MOS", 2, _composite, extra="pesq", rates=(16000,), part="cbak"),
    Metric("covl", "COVL", "PESQ wide band, MOS", 2, _composite, extra="pesq", rates=(16000,), part="covl"),
    Metric("stoi", "STOI", "", 3, lambda r, e, sr: stoi(ref=r, est=e, sr=sr), extra="eval"),
    Metric("estoi", "ESTOI", "", 3, lambda r, e, sr: estoi(ref=r, est=e, sr=sr), extra="eval"),
    Metric("si_sdr_db", "SI-SDR", "dB", 1, lambda r, e, sr: si_sdr(ref=r, est=e)),
    Metric("sdr_db", "SDR", "512 taps, dB", 1, lambda r, e, sr: sdr(ref=r, est=e), extra="eval"),
    Metric("snr_db", "SNR", "dB", 1, lambda r, e, sr: snr(ref=r, est=e)),
    Metric("segsnr_db", "segmental SNR", "dB", 1, lambda r, e, sr: segmental_snr(ref=r, est=e, sr=sr)),
    Metric("fwsegsnr_db", "fwSegSNR", "dB", 1, lambda r, e, sr: fw_segmental_snr(ref=r, est=e, sr=sr), min_sr=8000),
    Metric("lsd_db", "LSD", "dB", 1, lambda r, e, sr: lsd(ref=r, est=e, sr=sr), higher_is_better=False),
    Metric("llr", "LLR", "", 2, lambda r, e, sr: llr(ref=r, est=e, sr=sr), higher_is_better=False),
    Metric("wss", "WSS", "", 1, lambda r, e, sr: wss(ref=r, est=e, sr=sr), higher_is_better=False, min_sr=8000),
    Metric("dnsmos_sig", "DNSMOS speech", "MOS", 2, _dnsmos, extra="mos", rates=(16000,), part="sig", reference=False),
    Metric("dnsmos_bak", "DNSMOS background", "MOS", 2,
           _dnsmos, extra="mos", rates=(16000,), part="bak", reference=False),
    Metric("dnsmos_ovrl", "DNSMOS overall", "MOS", 2,
           _dnsmos, extra="mos", rates=(16000,), part="ovrl", reference=False),
    Metric("dnsmos_p808", "DNSMOS P.808", "MOS", 2, _dnsmos, extra="mos", rates=(16000,), part="p808", reference=False),
)}
# fmt: on
