"""How good an estimate is: one file per metric, every argument by name.

    si_sdr(ref=clean, est=y)                     dB          any sample rate, numpy alone
    snr(ref=clean, est=y)                        dB          the same, est in the scale of ref
    sdr(ref=clean, est=y)                        dB          up to a filter of 512 taps, needs undin[eval]
    bss_eval(ref=sources, est=estimates)         dB          SDR, SIR, SAR of (n_src, n_samples), needs undin[eval]
    segmental_snr(ref=clean, est=y, sr=sr)       -10 ... 35 dB
    fw_segmental_snr(ref=clean, est=y, sr=sr)    -10 ... 35 dB, 8 kHz and more
    lsd(ref=clean, est=y, sr=sr)                 dB          lower is better
    stoi(ref=clean, est=y, sr=sr)                0 ... 1     needs undin[eval]
    estoi(ref=clean, est=y, sr=sr)               0 ... 1     needs undin[eval]
    pesq(ref=clean, est=y, sr=sr)                MOS-LQO     8 or 16 kHz, needs undin[pesq]
    pesq_raw(ref=clean, est=y, sr=sr)            -0.5 ... 4.5, likewise, narrow band
    composite(ref=clean, est=y, sr=sr)           1 ... 5     CSIG, CBAK, COVL, likewise; from PESQ, llr and wss
    dnsmos(est=y, sr=sr)                         1 ... 5     predicted opinions without a reference, needs undin[mos]

Each takes (..., n_samples) and returns one score per leading index: a float for one signal, (...) for a batch. A score
that is undefined (silence, too little speech) is an `InputError` with the reason, never a number that could slip into
a mean.

    METRICS["stoi"](clean, y, sr)                            every metric by name, with unit and direction
    score_all([METRICS["csig"], ...], clean, y, sr)          several at once, without computing anything twice
    best_permutation(si_sdr, ref=sources, est=estimates)     scores in the best order, and that order
    wer(ref="spoken words", est="recognized words")          word error rate; wer_of runs a recognizer
"""

from undin.metrics.composite import Composite, composite, llr, wss
from undin.metrics.dnsmos import Dnsmos, dnsmos
from undin.metrics.fw_segmental_snr import fw_segmental_snr
from undin.metrics.lsd import lsd
from undin.metrics.permutation import best_permutation
from undin.metrics.pesq import pesq, pesq_raw
from undin.metrics.sdr import BssEval, bss_eval, sdr
from undin.metrics.si_sdr import si_sdr
from undin.metrics.snr import segmental_snr, snr
from undin.metrics.stoi import estoi, stoi
from undin.metrics.table import METRICS, Metric, score_all
from undin.metrics.wer import WordErrors, wer, wer_of, word_errors

__all__ = [
    "METRICS", "BssEval", "Composite", "Dnsmos", "Metric", "WordErrors", "best_permutation", "bss_eval", "composite",
    "dnsmos", "estoi", "fw_segmental_snr", "llr", "lsd", "pesq", "pesq_raw", "score_all", "sdr",
    "segmental_snr", "si_sdr", "snr", "stoi", "wer", "wer_of", "word_errors", "wss",
]  # fmt: skip
