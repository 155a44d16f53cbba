"""`dnn`: a feed-forward network on stacked log spectra with a noise estimate as input; see `training/nets/dnn.py`.

Source: Y. Xu, J. Du, L.-R. Dai and C.-H. Lee, "A regression approach to speech enhancement based on deep neural
networks", IEEE/ACM TASLP 23(1), 2015: log spectra in context, noise-aware training, dropout, equalized global variance.
The targets "magnitude" and "ratio" are what its authors later found better than regression on log spectra.

Its level does not matter: every frame counts relative to a running level, so f(a x) = a f(x) for any loudness.
"""

from dataclasses import dataclass
from typing import Literal

from undin.checks import Count, Natural, Positive, ShareBelowOne, check_fields
from undin.methods.base import Card
from undin.methods.learned import Learned
from undin.spectrum import Window


@dataclass(frozen=True)
class DNNConfig:
    """Architecture; the defaults are the paper's but for the rate, the context, the activation and the target.

    Attributes:
        sr: sample rate in Hz that n_fft and hop_length refer to; other rates use the same durations.
        n_fft: samples a frame spans.
        hop_length: samples between frames.
        window: see `undin.spectrum.get_window`.
        past: frames of context before the one that is answered; the paper has 5.
        future: frames of context after it, which the answer waits for; the paper has 5.
        feature: representation of |X| at the input; after normalization both are the same but for the floor.
        n_bottleneck: a linear map of each frame to this many channels before the context is stacked: the first layer as
            a product of two small matrices. 0 for none, as in the paper.
        n_hidden: units of each hidden layer.
        n_layers: hidden layers.
        skip: add the frame that is answered to the answer for speech, and the noise estimate to that for noise, each
            bin by its own weight: what the narrow layers cannot carry. The paper has none.
        activation: of the hidden layers; the paper has "sigmoid".
        dropout_input: share of the features that training blanks.
        dropout_hidden: share of the hidden units that training blanks.
        nat: noise estimate, computed from the noisy signal: "minimum" of its smoothed log spectrum over the
            last `nat_s`, which follows it; "first" is the mean of the first `nat_frames`, as in the paper; or None.
        nat_s: see nat, in seconds.
        nat_frames: frames of the mean, of either kind.
        level_s: the level is the mean of the square root of the amplitude over this many seconds.
        target: what is learned: "log" regresses the log spectrum of the speech by least squares (the paper);
            "magnitude" its linear magnitude by least absolute error; "ratio" speech and noise that way, and the mask
            is S / (S + N).
        gv: equalization of the global variance of what is regressed: one factor "pooled" over bins (beta), one per
            "bin" (alpha), or None.
    """

    sr: Count = 16000
    n_fft: Count = 512
    hop_length: Count = 256
    window: Window = "sqrt_hann"
    past: Natural = 5
    future: Natural = 3
    feature: Literal["log-power", "log-magnitude"] = "log-power"
    n_bottleneck: Natural = 0
    n_hidden: Count = 2048
    n_layers: Count = 3
    skip: bool = False
    activation: Literal["relu", "sigmoid"] = "relu"
    dropout_input: ShareBelowOne = 0.1
    dropout_hidden: ShareBelowOne = 0.2
    nat: Literal["minimum", "first"] | None = "minimum"
    nat_s: Positive = 1.0
    nat_frames: Count = 6
    level_s: Positive = 2.0
    target: Literal["log", "magnitude", "ratio"] = "ratio"
    gv: Literal["pooled", "bin"] | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def lookahead(self) -> int:
        """Frames of look-ahead."""
        return self.future

    def frames(self, seconds: float) -> int:
        """A duration in frames, at least one."""
        return max(round(seconds * self.sr / self.hop_length), 1)


class DNN(Learned):
    """Regression by a deep neural network on stacked frames."""

    id = "dnn"
    Config = DNNConfig
    config: DNNConfig
    card = Card(
        summary="feed-forward network on stacked log spectra with a noise estimate as input; one gain per bin",
        source="Xu, Du, Dai and Lee, IEEE/ACM TASLP 2015, and its authors' later targets",
    )
