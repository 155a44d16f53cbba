"""How good an estimate is, told by its clean reference: one file per metric, every argument by name.

    si_sdr(ref=clean, est=y)              dB        any sample rate, numpy alone
    stoi(ref=clean, est=y, sr=sr)         0 ... 1   needs undin[eval]
    estoi(ref=clean, est=y, sr=sr)        0 ... 1   needs undin[eval]
    pesq(ref=clean, est=y, sr=sr)         MOS-LQO   8 or 16 kHz, needs undin[pesq]

Each takes (..., n_samples) and gives one score per leading index: a float for one signal, (...) for a batch. A score
that is undefined (silence, too little speech) is an `InputError` with the reason, never a number that could slip into
a mean.
"""

from undin.metrics.pesq import pesq
from undin.metrics.si_sdr import si_sdr
from undin.metrics.stoi import estoi, stoi

__all__ = ["estoi", "pesq", "si_sdr", "stoi"]
