"""`mann`: a recurrent network with a memory to write to and read from; masks for speech and noise; causal.

Source: K.-W. Tsou and J.-T. Chien, "Memory augmented neural network for source separation", IEEE MLSP 2017, whose cell
is that of A. Graves, G. Wayne and I. Danihelka, "Neural Turing machines", arXiv 1410.5401, 2014.

`mann-lstm` and `mann-dnn` are what it is measured against: the same but for the layer, an LSTM or none that remembers.
Loudness does not matter to any of them: every frame counts relative to a running level.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from undin.audio import check_audio, resample
from undin.checks import Count, Natural, NotNegative, Positive, ShareBelowOne, check_fields
from undin.errors import InputError
from undin.methods.base import Card, Look
from undin.methods.learned import Learned
from undin.spectrum import Array, Window, stft


@dataclass(frozen=True)
class MANNConfig:
    """Architecture and loss; the defaults are the paper's.

    Attributes:
        sr: sample rate in Hz that n_fft and hop_length refer to; other rates use the same durations.
        n_fft: samples a frame spans.
        hop_length: samples between frames.
        window: see `undin.spectrum.get_window`.
        feature: "magnitude" of the spectrum (the paper); "compressed" to its power 0.3, mean and variance normalized.
        context: frames that are stacked, an odd number; the one in the middle is answered.
        n_hidden: units of the first and of the last layer.
        n_lstm: units of the recurrent layer below the memory; of a layer without recurrence for "dnn".
        layer: what comes then: "ntm", a neural Turing machine; "lstm"; or "dnn".
        n_cell: its units; of the "ntm", those of its controller, an LSTM.
        n_rows: rows of the memory; 0 leaves its controller alone, an LSTM.
        n_width: numbers in each row.
        n_read: heads that read.
        n_write: heads that write.
        shifts: how far a head may turn its attention from one frame to the next, in rows to either side.
        gives: what the "ntm" hands on: its "hidden" state, as published, or "both" that and what was read, as in its
            source.
        start: what the memory holds before the first frame: the "constant" 1e-6, or what is "learned".
        level_s: the level is the mean of the square root of the amplitude over this many seconds.
        loss_power: of the magnitudes that the loss compares; 1 in the paper.
        discriminative: weight of the distance to the other source, which is to be large; 0 in the paper.
        stoi: weight of the loss `undin.training.losses.stoi`; 0 in the paper.
    """

    sr: Count = 16000
    n_fft: Count = 1024
    hop_length: Count = 512
    window: Window = "hamming"
    feature: Literal["magnitude", "compressed"] = "magnitude"
    context: Count = 1
    n_hidden: Count = 1000
    n_lstm: Count = 1000
    layer: Literal["ntm", "lstm", "dnn"] = "ntm"
    n_cell: Count = 700
    n_rows: Natural = 32
    n_width: Count = 700
    n_read: Count = 1
    n_write: Count = 1
    shifts: Natural = 1
    gives: Literal["both", "hidden"] = "both"
    start: Literal["constant", "learned"] = "constant"
    level_s: Positive = 2.0
    loss_power: Positive = 1.0
    discriminative: ShareBelowOne = 0.0
    stoi: NotNegative = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.context % 2 == 0:
            raise InputError(f"context must be an odd number of frames; got {self.context!r}")
        if self.n_rows and 2 * self.shifts + 1 > self.n_rows:
            raise InputError(
                f"shifts must turn by less than the memory has rows, 2 shifts + 1 <= n_rows; "
                f"got {self.shifts!r} and {self.n_rows!r}"
            )

    @property
    def lookahead(self) -> int:
        """Frames of look-ahead."""
        return self.context // 2

    def frames(self, seconds: float) -> int:
        """A duration in frames, at least one."""
        return max(round(seconds * self.sr / self.hop_length), 1)


@dataclass(frozen=True)
class MANNLSTMConfig(MANNConfig):
    """`MANNConfig` with an LSTM in the memory's place."""

    layer: Literal["ntm", "lstm", "dnn"] = "lstm"


@dataclass(frozen=True)
class MANNDNNConfig(MANNConfig):
    """`MANNConfig` with nothing that remembers."""

    layer: Literal["ntm", "lstm", "dnn"] = "dnn"


class MANN(Learned):
    """Memory-augmented network.

    >>> import numpy as np, undin
    >>> looks = undin.load("mann").attention(np.random.default_rng(0).standard_normal(16000), 16000)
    >>> {name: w.shape for name, w in looks.items()}  # (heads, n_rows, n_frames), and every frame sums to one
    {'read': (1, 32, 33), 'write': (1, 32, 33)}
    """

    id = "mann"
    Config = MANNConfig
    config: MANNConfig
    card = Card(
        summary="recurrent network with an external memory; masks for speech and noise",
        source="Tsou and Chien, IEEE MLSP 2017; cell: Graves, Wayne and Danihelka 2014",
    )

    def attention(self, x: Array, sr: int) -> dict[str, Array]:
        """Which rows of the memory are read and written, frame by frame.

        Args:
            x: (n_samples,), floating point.
            sr: sample rate in Hz; another than the network's own is resampled.

        Returns:
            read (n_read, n_rows, n_frames) and write (n_write, n_rows, n_frames), `config.hop_length` samples apart.

        Raises:
            InputError: x breaks a rule, or the network has no memory.
        """
        c = self.config
        if "layer_w" not in self.runner.shapes:
            raise InputError(f"{self.runner.path} has no memory: it was trained with layer {c.layer!r}")
        x = resample(check_audio(x, sr), sr, c.sr)
        if x.ndim != 1:
            raise InputError(f"x must be (n_samples,); got {x.shape}: pass one channel")
        X = np.atleast_2d(stft(x, c.n_fft, c.hop_length, window=c.window))[None]
        state, looks = self.initial_state(1), []
        for t in range(X.shape[-1]):
            _, state = self.step(X[..., t : t + 1], state)
            looks.append(state["layer_w"][0])  # (heads, n_rows)
        w = np.stack(looks, -1) if looks else np.zeros((*self.runner.shapes["layer_w"], 0), np.float32)
        return {"read": w[: c.n_read], "write": w[c.n_read :]}

    def looks(self, x: Array, sr: int, *, ref: Array | None = None) -> list[Look]:
        """The mask and, where there is a memory, the attention of its heads; see `Method.looks`.

        Args:
            x, sr, ref: as in `Method.looks`.
        """
        looks = super().looks(x, sr, ref=ref)
        if "layer_w" not in self.runner.shapes:
            return looks
        heads = {f"{what}, head {k}": w for what, ws in self.attention(x, sr).items() for k, w in enumerate(ws, 1)}
        return [*looks, Look("attention", "heat_maps", heads)]


class MANNLSTM(MANN):
    """Its first baseline: an LSTM in the memory's place."""

    id = "mann-lstm"
    Config = MANNLSTMConfig
    card = Card(
        summary="recurrent network; masks for speech and noise; baseline for mann",
        source="Tsou and Chien, IEEE MLSP 2017",
    )


class MANNDNN(MANN):
    """Its second baseline: nothing that remembers."""

    id = "mann-dnn"
    Config = MANNDNNConfig
    card = Card(
        summary="feed-forward network; masks for speech and noise; baseline for mann",
        source="Tsou and Chien, IEEE MLSP 2017",
    )
