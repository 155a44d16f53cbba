"""`cmask`: dilated convolutions, an LSTM and dense layers answer with a complex mask, for little delay.

The network is `undin.training.nets.cmask`; what runs is its graph.

Source: K. Wilson, M. Chinen, J. Thorpe, B. Patton, J. Hansen, R. F. Lyon et al., "Exploring tradeoffs in models for
low-latency speech enhancement", IWAENC 2018: compressed spectra and delta phase in, a mask out, causal or
bidirectional, with or without look-ahead. The table of layers is that of YunyangZeng's program after the paper.

Frames are 25 ms of Hann every 10 ms, as there, in an FFT of just these 400 samples: padding them to 512 would only
interpolate between bins, and the dual window of `undin.spectrum` inverts the transform exactly.
"""

from dataclasses import dataclass
from typing import Literal

from undin.checks import Count, Natural, NotNegative, Positive, check_fields
from undin.errors import InputError
from undin.methods.base import Card
from undin.methods.learned import Learned
from undin.spectrum import Window

Mask = Literal["real", "complex", "polar"]
DeltaPhase = Literal["time", "frequency", "both"]


@dataclass(frozen=True)
class CmaskConfig:
    """Architecture and loss; the defaults are the size of the paper's picture, 27 million numbers with both directions.

    Attributes:
        sr: sample rate in Hz that n_fft and hop_length refer to; other rates use the same durations.
        n_fft: samples a frame spans.
        hop_length: samples between frames.
        window: see `undin.spectrum.get_window`.
        mask: "real" scales each bin by 0 ... 1; "complex" multiplies it by a complex number, both parts in -1 ... 1;
            "polar" scales it by 0 ... 1 and turns it.
        delta_phase: which differences of the phase are inputs, as cosine and sine: over "time" beyond the turn that
            each bin's own frequency makes in a hop, over "frequency" beyond that of the frame's center, "both", None.
        magnitude: the compressed magnitude is an input too, not only the parts it must be found from. The paper
            has none.
        power: compression of magnitudes, in the inputs and in the loss; phases stay.
        level_s: the inputs are relative to the level of this many seconds.
        channels: of the convolutions.
        width: bins that the first convolution sees, and frames that the second sees; odd.
        stride: bins between the positions of the first convolution.
        kernel: frames and positions that the others see; odd.
        dilations: frames between those that each of the others sees.
        n_flat: channels that are left of each position for the LSTM.
        n_lstm: units of the LSTM.
        lstm_layers: LSTMs, one on another.
        n_hidden: units of the dense layer after it.
        skip: each bin's own log power speaks for its gain, by a weight that the dense layers set from frame to frame;
            a Wiener gain is of this form. The paper has none.
        bidirectional: LSTM and convolutions see past and future alike: for whole recordings.
        lookahead: frames that an answer waits for.
        complex_weight: of the complex part of the loss relative to that of magnitudes; the founding program's.
        snr_weight: of the signal-to-noise ratio in the loss, per dB; the paper has 0.
    """

    sr: Count = 16000
    n_fft: Count = 400
    hop_length: Count = 160
    window: Window = "hann"
    mask: Mask = "complex"
    delta_phase: DeltaPhase | None = None
    magnitude: bool = False
    power: Positive = 0.3
    level_s: Positive = 1.5
    channels: Count = 32
    width: Count = 7
    stride: Count = 1
    kernel: Count = 5
    dilations: tuple[Count, ...] = (1, 2, 4, 8, 16)
    n_flat: Count = 8
    n_lstm: Count = 1023
    lstm_layers: Count = 1
    n_hidden: Count = 873
    skip: bool = False
    bidirectional: bool = False
    lookahead: Natural = 0
    complex_weight: NotNegative = 0.113
    snr_weight: NotNegative = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("width", "kernel"):
            if getattr(self, name) % 2 == 0:
                raise InputError(f"{name} must be odd, so that it has a center; got {getattr(self, name)}")
        if self.bidirectional and self.lookahead:
            raise InputError(f"lookahead must be 0 in a bidirectional network; got {self.lookahead}")

    def frames(self, seconds: float) -> int:
        """A duration in frames, at least one."""
        return max(round(seconds * self.sr / self.hop_length), 1)


class Cmask(Learned):
    """A complex mask by convolutions, an LSTM and dense layers."""

    id = "cmask"
    Config = CmaskConfig
    config: CmaskConfig
    card = Card(
        summary="dilated convolutions, an LSTM and dense layers; one complex mask; causal, low delay",
        source="Wilson et al., IWAENC 2018",
    )
