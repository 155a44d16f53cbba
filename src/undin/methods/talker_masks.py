"""`ff-mask`, `lstm-mask`, `blstm-mask`: a mask for each talker; see `training/nets/talker_masks.py`.

Sources: the label-order trap (`objective="fixed"`) is that of the founding project, which asked networks of this kind
for the ideal binary mask of "speaker 1"; PIT: D. Yu, M. Kolbaek, Z.-H. Tan and J. Jensen, "Permutation invariant
training of deep models for speaker-independent multi-talker speech separation", ICASSP 2017; uPIT with the phase-
sensitive target: Kolbaek, Yu, Tan and Jensen, "Multitalker speech separation with utterance-level permutation invariant
training of deep recurrent neural networks", IEEE/ACM TASLP 2017; Chimera: Y. Luo et al., "Deep clustering and
conventional networks for music separation: stronger together", ICASSP 2017.

Loudness does not matter: spectra count relative to a running level.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from undin.audio import MOST_TALKERS
from undin.checks import Count, Natural, NotNegative, Positive, Share, ShareBelowOne, check_fields
from undin.errors import InputError
from undin.methods.base import Card
from undin.methods.learned import Learned, planes
from undin.order import source_order
from undin.runner import MOST_K
from undin.spectrum import Array, ComplexArray, Window, istft, stft
from undin.stream import frame_at


@dataclass(frozen=True)
class TrunkConfig:
    """What networks that separate talkers share: frame, features and recurrent layers.

    Attributes:
        sr: sample rate in Hz that n_fft and hop_length refer to; other rates use the same durations.
        n_fft: samples a frame spans.
        hop_length: samples between frames.
        window: see `undin.spectrum.get_window`.
        talkers: number of talkers.
        n_layers: hidden layers.
        n_hidden: units of each, in each direction.
        width: 0 stacks the layers, as in the papers. Else each layer reads and adds to a normalized residual stream
            of this many channels per frame: deeper networks with fewer weights.
        dropout: share of each layer's outputs set to zero in training.
        normalise: features get mean 0 and deviation 1 in each "bin", or by one "global" mean and deviation.
        level_s: spectra are relative to the mean level of this many seconds; of the whole signal where all of it is
            there.
        alone: share of the examples in which training mutes all talkers but one, so that a lone talker is not
            duplicated.
        active_db: frames and bins further below the loudest are ignored in training: they contain no speech.
    """

    sr: Count = 16000
    n_fft: Count = 512
    hop_length: Count = 256
    window: Window = "sqrt_hann"
    talkers: Annotated[int, ">= 2", f"<= {MOST_TALKERS}"] = 2
    n_layers: Count = 3
    n_hidden: Count = 896
    width: Natural = 0
    dropout: ShareBelowOne = 0.5
    normalise: Literal["bin", "global"] = "bin"
    level_s: Positive = 2.0
    active_db: Positive = 40.0
    alone: ShareBelowOne = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    def frames(self, seconds: float) -> int:
        """A duration in frames, at least one."""
        return max(round(seconds * self.sr / self.hop_length), 1)


@dataclass(frozen=True)
class MaskConfig(TrunkConfig):
    """See `TrunkConfig`, and:

    Attributes:
        activation: of the masks: "softmax" over the talkers, so that they sum to one; "sigmoid", or "relu".
        objective: which output is asked for which talker: "fixed", the first for the first, whoever that is (the trap);
            "pit", in the order that costs least in each segment; "upit", in the one that costs least over the example.
        target: what is asked of it: the "ibm" or "irm" itself; the "amplitude" |S| or "psm" |S| cos(phase difference),
            at least 0, of the masked magnitude; or "signal", the signal-to-noise ratio of the output.
        segment: frames of a segment of "pit".
        embedding: numbers per bin of an embedding learned along with the masks (Chimera) and not used later; 0 for
            none.
        cluster_weight: share of the embedding in the loss.
        rest: one more mask, for what belongs to no talker: noise and late reverberation. At run time it is shared
            between the talkers, or kept apart.
        voice: numbers per frame that describe each talker's voice, for recognizing it later; 0 for none.
        voice_weight: weight of the contrastive loss that they are learned by.
    """

    activation: Literal["softmax", "sigmoid", "relu"] = "softmax"
    objective: Literal["fixed", "pit", "upit"] = "upit"
    target: Literal["ibm", "irm", "amplitude", "psm", "signal"] = "psm"
    segment: Count = 100
    embedding: Natural = 0
    cluster_weight: Share = 0.5
    rest: bool = False
    voice: Annotated[int, ">= 0", f"<= {MOST_K}"] = 0
    voice_weight: NotNegative = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.objective, self.target) == ("pit", "signal"):
            raise InputError('target "signal" needs complete examples: use the objective "upit"')
        if self.rest and self.activation != "softmax":
            raise InputError(f'a mask for the rest needs the activation "softmax"; got {self.activation!r}')
        if self.objective == "pit" and self.voice:
            raise InputError('a voice needs one order throughout the example: use the objective "upit"')


class TalkerMasks(Learned):
    """Shared by the three methods."""

    Config = MaskConfig
    config: MaskConfig


class FFMask(TalkerMasks):
    """Frame by frame, without a memory."""

    id = "ff-mask"
    card = Card(
        summary="feed-forward network on single frames; one mask per talker",
        source="the founding project's network; Yu et al., ICASSP 2017",
        kind="separate",
    )


class LSTMMask(TalkerMasks):
    """With a memory of the past: causal."""

    id = "lstm-mask"
    card = Card(
        summary="LSTM; one mask per talker; causal",
        source="Kolbaek, Yu, Tan and Jensen, IEEE/ACM TASLP 2017",
        kind="separate",
    )


@dataclass(frozen=True)
class BLSTMConfig(MaskConfig):
    """See `MaskConfig`; `speeds` may be changed when it runs.

    Attributes:
        speeds: additional playback speeds at run time, 0.5 to 2. To the network these are other voices that say
            the same, and the mean of what it gives errs less; each costs as much as the signal itself.
    """

    speeds: tuple[Annotated[float, ">= 0.5", "<= 2"], ...] = ()


class BLSTMMask(TalkerMasks):
    """With a memory that runs both ways: needs the whole signal."""

    id = "blstm-mask"
    Config = BLSTMConfig
    config: BLSTMConfig
    adjustable = frozenset({"speeds"})
    card = Card(
        summary="bidirectional LSTM; one mask per talker",
        source="Kolbaek, Yu, Tan and Jensen, IEEE/ACM TASLP 2017",
        kind="separate",
    )

    def estimate(self, X: ComplexArray) -> ComplexArray:
        """Answer a whole signal by the mean over all speeds: X (batch, n_freq, T) -> Y (talkers, *X.shape)."""
        return self._at_all_speeds(X, super().estimate(X))

    def analyze(self, X: ComplexArray) -> tuple[ComplexArray, Array | None]:
        """`estimate`, and the voices as they sound at the speed of the signal itself."""
        Y, V = super().analyze(X)
        return (Y if V is None else self._at_all_speeds(X, Y)), V

    def _at_all_speeds(self, X: ComplexArray, Y: ComplexArray) -> ComplexArray:
        """The mean of Y and of the answers at other speeds; a rest, the last, stays the last."""
        c, n = self.config, self.config.talkers
        if not c.speeds:
            return Y
        x = istft(X, c.n_fft, c.hop_length, window=c.window)
        estimates = [Y]
        for speed in c.speeds:
            n_fft, hop_length = frame_at(c, round(speed * c.sr))  # bin k of a longer frame is of a lower frequency
            Z = self._separate(stft(x, n_fft, hop_length, window=c.window))
            y = istft(Z, n_fft, hop_length, window=c.window, length=x.shape[-1])
            other = stft(y, c.n_fft, c.hop_length, window=c.window)[..., : X.shape[-1]]
            for b in range(len(X)):
                other[:n, b] = other[source_order(Y[:n, b], other[:n, b]), b]
            estimates.append(other)
        mean: ComplexArray = np.stack(estimates).mean(0)
        mean += (X - mean.sum(0)) / len(mean)  # together they sum to the input
        return mean

    def _separate(self, X: ComplexArray) -> ComplexArray:
        """X of any n_freq; bins above those that the graph knows go with the last of them."""
        n, n_known = X.shape[1], self.runner.n_freq
        known = np.pad(X[:, :n_known], [(0, 0), (0, max(n_known - n, 0)), (0, 0)])
        M = self.runner.run(planes(known), self.runner.initial_state(len(X)))[0].transpose(1, 0, 3, 2)
        Y: ComplexArray = np.pad(M[:, :, :n], [(0, 0), (0, 0), (0, max(n - n_known, 0)), (0, 0)], "edge") * X
        return Y
