"""`nmf`, `nmf-exp`, `nmf-gamma`: V = |X| ~ W H with bases W known from training, priors on H, and a Wiener gain.

    V_t ~ W h_t = Σ_i W_i h_i,t over the sources i (speech, noise; or the talkers)
    G_i = (W_i h_i)^p / Σ_j (W_j h_j)^p,    Y_i = G_i X

With the bases of every source known, h_t depends on frame t alone, so the method is causal without look-ahead. Without
bases for the noise it learns `n_free` of them from the recording, speech bases fixed, and needs the whole signal.

Levels change nothing: every frame is scaled to a sum of one, and the prior counts in parts of a frame's level. With
m_i the mean of row i of H in training and η_i = 1 / m_i, the exponential prior adds penalty · η_i / mean(η) to the
denominator of the update, where the columns of W sum to one; the mean is the source's own, and each source has its own
penalty. Equal penalties with a uniform η would scale all of H alike and cancel in G.

Source: K. Kwon, J. W. Shin and N. S. Kim, ICASSP 2016. The maths is in `nmf_updates.py`.
Cost: about 4 n_freq (n_speech + n_noise) n_iter operations per frame.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np

from undin.audio import check_audio, resample
from undin.checks import Count, NotNegative, check_fields
from undin.cores import State
from undin.errors import InputError, WeightsError
from undin.methods.base import Card, Method
from undin.methods.nmf_bases import Bases, describe, read_model, write_model
from undin.methods.nmf_updates import Matrix, descend, encode, fit_bases, quiet_bases, smooth, wiener_gain
from undin.spectrum import Array, ComplexArray, Window, stft

Prior = Literal["exponential", "gamma"] | None
# Noise bases learned from the recording, and known ones, which are more and explain more of the speech.
PENALTIES: dict[Prior, tuple[float, float]] = {None: (0, 0), "exponential": (0.06, 0.03), "gamma": (0.02, 0.005)}
GAINS_DB: dict[Prior, float] = {None: 3.5, "exponential": 8.0, "gamma": 9.5}  # of the shipped bases, see Card
IDS: dict[Prior, str] = {None: "nmf", "exponential": "nmf-exp", "gamma": "nmf-gamma"}
SHIPPED = Path(__file__).parents[1] / "weights" / "nmf-speech.npz"
Size = Annotated[int, ">= 1", "<= 10000"]  # bases, passes and updates
OWN = "your own recordings"
SILENT = np.float32(1e-9)  # mean magnitude under which a frame is digital silence
QUIET_DB = 40.0  # frames of the training sound this far under its loud ones are left out
RARE = 0.05  # bases rarer than this part of the median count as that rare, so that η stays finite


@dataclass(frozen=True)
class NMFConfig:
    """Settings, chosen on 36 to 40 mixtures of development speakers and recordings at 0 dB; a saved model keeps them.

    Attributes:
        sr: sample rate in Hz that n_fft and hop_length refer to; other rates use the same durations.
        n_fft: samples a frame spans. 1024 gave 5.1 dB of SI-SDR where 512 gave 4.0, at twice the delay.
        hop_length: samples between frames.
        window: see `undin.spectrum.get_window`.
        n_speech: bases of the speech, or of each talker. 64 / 128 / 256 gave 4.3 / 5.1 / 4.8 dB.
        n_noise: bases of the noise. 128 instead of 64 lost 0.4 dB and 0.013 of STOI.
        n_free: noise bases learned from the recording where the model has none. 8 / 16 / 32 gave 5.1 / 5.1 / 4.8 dB and
            +0.011 / +0.004 / -0.006 of STOI.
        fit_iter: passes in training, see `nmf_updates.fit_bases`.
        n_iter: updates of H (and of the free bases) on the signal; with 60 speech bases begin to explain noise.
        tol: training and free bases stop when an iteration lowers the divergence by less than this fraction.
        epsilon: stop when the Frobenius norm of the divergence's terms is below this; 0 for never. It depends on the
            level and on all frames, so it makes the method whole-signal.
        prior: density of the rows of H: None, "exponential" or "gamma".
        penalty: weight of the prior on speech (or on each talker), relative to the level; None for PENALTIES. Of the
            exponential prior, 0 / 0.06 gave 1.8 / 5.3 dB blind, and 0 / 0.03 / 0.06 gave 2.5 / 3.7 / 4.1 dB with known
            noise, the last at -0.008 of STOI.
        noise_penalty: the same for noise; 0 lets the noise model explain everything unlikely to be speech.
        wiener_power: p of the gain: 1 is a ratio of magnitudes, 2 the Wiener gain. 1.5 did best by SI-SDR and PESQ.
        smoothing_s: time constant of the sources' magnitudes before the gain, in seconds.
    """

    sr: Count = 16000
    n_fft: Count = 1024
    hop_length: Count = 256
    window: Window = "hamming"
    n_speech: Size = 128
    n_noise: Size = 64
    n_free: Size = 8
    fit_iter: Size = 100
    n_iter: Size = 30
    tol: NotNegative = 1e-5
    epsilon: NotNegative = 0.0
    prior: Prior = None
    penalty: NotNegative | None = None
    noise_penalty: NotNegative = 0.0
    wiener_power: Annotated[float, "> 0", "<= 8"] = 1.5
    smoothing_s: NotNegative = 0.016

    def __post_init__(self) -> None:
        check_fields(self)


class NMF(Method):
    """Non-negative matrix factorization: `fit` it on your own recordings, or load the shipped speech bases.

    Args:
        settings: see `NMFConfig`.

    >>> rng = np.random.default_rng(0)
    >>> low, high = np.sin(np.arange(16000) * 0.1), rng.standard_normal(16000)
    >>> model = NMF(prior="exponential", n_speech=4, n_noise=8).fit(low, high, 16000)
    >>> y = model(low + high, 16000)
    >>> bool(np.std(y - low) < 0.5 * np.std(high))
    True
    """

    Config = NMFConfig
    config: NMFConfig
    bins = "fewer"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.bases: tuple[Bases, ...] = ()
        self.talkers = False
        self.data, self.version = OWN, ""

    @property
    def id(self) -> str:  # type: ignore[override]
        """nmf, nmf-exp or nmf-gamma, depending on the prior."""
        return IDS[self.config.prior]

    @property
    def card(self) -> Card:  # type: ignore[override]
        """The card, depending on the fitted bases."""
        noise = "bases of every source" if len(self.bases) > 1 else "noise bases learned from the recording"
        ours = self.data != OWN
        return Card(
            summary=f"KL-NMF, {self.config.prior or 'no'} prior, {noise}",
            source="Kwon, Shin and Kim, ICASSP 2016",
            kind="separate" if self.talkers else "enhance",
            licence="MIT (code and weights)" if ours else "MIT (code); the bases are yours",
            data=self.data,
            version=self.version,
            si_sdr_gain_db=GAINS_DB[self.config.prior] if ours and len(self.bases) == 1 else 0.0,
            parameters=sum(bases.W.size for bases in self.bases),
        )

    @property
    def causal(self) -> bool:
        """True if the bases of every source are known and epsilon is 0."""
        return len(self.bases) > 1 and not self.config.epsilon

    @property
    def knows_talkers(self) -> bool:
        """Whether it was fitted to talkers, whose order the outputs keep."""
        return self.n_src is not None

    @property
    def n_src(self) -> int | None:
        """The number of talkers, or None for speech in noise."""
        return len(self.bases) if self.talkers else None

    def fit(
        self,
        speech: Array | Sequence[Array],
        noise: Array | Sequence[Array] | None,
        sr: int,
        *,
        rng: np.random.Generator | int = 0,
    ) -> Self:
        """Learn speech and noise bases, each from its own recordings.

        Args:
            speech: (n_samples,), or a list of these.
            noise: (n_samples,), or a list of these; None to learn it from each recording at run time.
            sr: sample rate of both in Hz, at least the config's.
            rng: seed or generator; the same seed gives the same bases.

        Returns:
            self.

        Raises:
            InputError: a signal is not one-dimensional floating point, is silent or too short, or sr is too low.
        """
        rng = np.random.default_rng(rng)
        bases = [self._learn("speech", speech, sr, self.config.n_speech, rng)]
        if noise is not None:
            bases.append(self._learn("noise", noise, sr, self.config.n_noise, rng))
        self.bases, self.talkers, self.data, self.version = tuple(bases), False, OWN, ""
        return self

    def fit_noise(self, noise: Array | Sequence[Array], sr: int, *, rng: np.random.Generator | int = 0) -> Self:
        """Keep the speech bases, for example the shipped ones, and learn noise bases; otherwise as `fit`.

        Args:
            noise, sr, rng: as in `fit`.
        """
        if not self.bases or self.talkers:
            raise InputError("fit_noise needs speech bases: use fit, or undin.load('nmf-exp')")
        learned = self._learn("noise", noise, sr, self.config.n_noise, np.random.default_rng(rng))
        self.bases = (self.bases[0], learned)
        return self

    def fit_talkers(
        self, talkers: Sequence[Array | Sequence[Array]], sr: int, *, rng: np.random.Generator | int = 0
    ) -> Self:
        """Learn the bases of two or more talkers, n_speech each; the model then separates them, in this order.

        Args:
            talkers: one entry per talker, each as `speech` of `fit`.
            sr, rng: as in `fit`.
        """
        if len(talkers) < 2:
            raise InputError(f"talkers must be a list of two or more; got {len(talkers)}: use fit for speech and noise")
        rng = np.random.default_rng(rng)
        self.bases = tuple(
            self._learn(f"talkers[{i}]", x, sr, self.config.n_speech, rng) for i, x in enumerate(talkers)
        )
        self.talkers, self.data, self.version = True, OWN, ""
        return self

    def with_settings(self, **settings: Any) -> Self:
        """A copy with other settings; those that its bases were learned with cannot change."""
        for name in ("sr", "n_fft", "n_speech") if self.bases else ():
            if settings.get(name, (now := getattr(self.config, name))) != now:
                raise InputError(f"{name} is {now} in these bases and cannot become {settings[name]}: fit a new NMF")
        return super().with_settings(**settings)

    def _learn(self, name: str, x: Array | Sequence[Array], sr: int, n_bases: int, rng: np.random.Generator) -> Bases:
        c = self.config
        sounds = x if isinstance(x, (list, tuple)) else [np.asarray(x)]
        nothing = np.zeros((c.n_fft // 2 + 1, 0), np.float32)
        V = np.concatenate([nothing, *(self._magnitudes(name, sound, sr) for sound in sounds)], 1)
        if sum(len(sound) for sound in sounds) * c.sr < c.n_fft * sr:
            raise InputError(f"{name} must last {c.n_fft / c.sr:.3f} s or more (n_fft samples)")
        loudness = V.sum(0)
        V = V[:, loudness > 10 ** (-QUIET_DB / 20) * np.percentile(loudness, 99)] if V.size else V
        if not V.size or V.mean() < SILENT:
            raise InputError(f"{name} must contain audio; got silence or nothing")
        V = np.ascontiguousarray(V / V.mean())
        return describe(*fit_bases(V, n_bases, n_iter=c.fit_iter, tol=c.tol, rng=rng)[:2])

    def _magnitudes(self, name: str, x: Array, sr: int) -> Matrix:
        """(n_freq, n_frames) of one sound at the config's rate."""
        c, x = self.config, check_audio(x, sr)
        if x.ndim != 1:
            raise InputError(
                f"{name} must be (n_samples,) or a list of such arrays; got the shape {x.shape}: pick a channel"
            )
        if sr < c.sr:
            raise InputError(
                f"{name} must have the model's {c.sr} Hz or more; got {sr} Hz: use NMF(sr={sr}, n_fft=...)"
            )
        x = resample(x.astype(np.float32), sr, c.sr)
        return np.abs(stft(x, c.n_fft, c.hop_length, window=c.window))

    def initial_state(self, batch: int) -> State:
        """The smoothed magnitudes of the sources, empty."""
        return {"S": np.zeros((batch, len(self.bases), 1), np.float32)}

    def step(self, X: ComplexArray, state: State) -> tuple[ComplexArray, State]:
        """Answer frames X (batch, n_freq, T) without look-ahead: each frame has its own H."""
        W, penalty, pull = self._model(X.shape[1], len(self._fitted()))
        V = np.ascontiguousarray(np.moveaxis(np.abs(X), 1, 0)).reshape(X.shape[1], -1)  # (n_freq, batch * T)
        level = np.maximum(V.sum(0), SILENT)
        H = encode(V / level, W, n_iter=self.config.n_iter, penalty=penalty, pull=pull) * level
        return self._answer(X, W, H, state)

    def estimate(self, X: ComplexArray) -> ComplexArray:
        """Process a complete signal X (batch, n_freq, n_frames): learn the noise from it, or stop by epsilon."""
        known = len(self._fitted())
        Y = [self._estimate_one(X[i : i + 1], known) for i in range(len(X))]
        return np.concatenate(Y, 1 if self.n_src else 0) if Y else X

    def _estimate_one(self, X: ComplexArray, known: int) -> ComplexArray:
        c = self.config
        W, penalty, pull = self._model(X.shape[1], known)
        V = np.ascontiguousarray(np.abs(X[0]))
        if known > 1:
            H = encode(V, W, n_iter=c.n_iter, penalty=penalty, pull=pull * V.sum(0), epsilon=c.epsilon)
        else:
            W, H = self._learn_noise(V, W, penalty, pull)
        return self._answer(X, W, H, self.initial_state(1))[0]

    def _fitted(self) -> tuple[Bases, ...]:
        if not self.bases:
            raise InputError("this NMF has no bases: call fit(speech, noise, sr), or use undin.load('nmf-exp')")
        return self.bases

    def _model(self, n_freq: int, known: int) -> tuple[Matrix, Matrix, Matrix]:
        """W of the first `known` sources on the first n_freq bins, and the prior for frames with a sum of one.

        Columns cut to fewer bins are scaled to sum to one again, and h grows by what they had lost.
        """
        c, parts = self.config, []
        for i, bases in enumerate(self.bases[:known]):
            kept = np.maximum(bases.W[:n_freq].sum(0), 1e-6)
            typical = kept * (bases.scale if c.prior == "gamma" else bases.mean)  # θ, or 1 / η
            rate = 1 / np.maximum(typical, RARE * np.median(typical))
            weight = c.noise_penalty if i and not self.talkers else c.penalty
            weight = PENALTIES[c.prior][known > 1] if weight is None else weight * (c.prior is not None)
            pull = weight / rate.mean() * (bases.shape - 1 if c.prior == "gamma" else 0 * rate)
            parts.append((bases.W[:n_freq] / kept, weight / rate.mean() * rate, pull))
        W, penalty, pull = (np.concatenate(part, -1) for part in zip(*parts, strict=True))
        return W, penalty[:, None].astype(np.float32), pull[:, None].astype(np.float32)

    def _learn_noise(self, V: Matrix, W: Matrix, penalty: Matrix, pull: Matrix) -> tuple[Matrix, Matrix]:
        """Noise bases next to fixed speech bases W: initialized from the quietest frames, which contain no speech."""
        c, n_speech = self.config, W.shape[1]
        V = V / np.maximum(V.mean(), SILENT)
        loudness = V.sum(0)
        W = np.concatenate([W, quiet_bases(V, c.n_free)], 1)
        # What is rare in this noise is not known: its rows share one rate.
        weight = 0.0 if c.prior is None else c.noise_penalty
        penalty = np.concatenate([penalty, np.full((c.n_free, 1), weight, np.float32)])
        pull = np.concatenate([pull, np.zeros((c.n_free, 1), np.float32)])
        H = np.repeat(loudness[None] / np.float32(W.shape[1]), W.shape[1], 0)
        return descend(
            V, W, H, n_iter=c.n_iter, n_fixed=n_speech, penalty=penalty, pull=loudness.mean() * pull, tol=c.tol
        )[:2]

    def _answer(self, X: ComplexArray, W: Matrix, H: Matrix, state: State) -> tuple[ComplexArray, State]:
        """Sources W_i h_i, smoothed over time -> gains -> Y (batch, n_freq, T), or (n_src, batch, n_freq, T)."""
        c = self.config
        batch, n_freq, n_frames = X.shape
        sizes = [bases.W.shape[1] for bases in self.bases]
        edges = [0, *np.cumsum(sizes), W.shape[1]]  # bases beyond the known ones model the recording's noise
        parts = [W[:, a:b] @ H[a:b] for a, b in pairwise(edges) if b > a]
        S = np.stack(parts).reshape(len(parts), n_freq, batch, n_frames).transpose(3, 2, 0, 1).copy()
        S, last = smooth(S, state["S"], float(np.exp(-c.hop_length / c.sr / c.smoothing_s)) if c.smoothing_s else 0.0)
        G = wiener_gain(S, c.wiener_power).transpose(2, 1, 3, 0)  # (n_parts, batch, n_freq, T)
        if not np.isfinite(G).all():
            raise WeightsError(f"{self.id} returned NaN: its bases or settings are damaged")
        return (G if self.talkers else G[0]) * X, {"S": last}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write bases, statistics and settings to an .npz; a file is never half-written.

        Raises:
            InputError: nothing has been learned yet, or path does not end in .npz.
        """
        self._fitted()
        path = Path(path)
        if path.suffix != ".npz":
            raise InputError(f"path must end in .npz; got {path}: undin.load tells files apart by it")
        about = {"talkers": self.talkers, "data": self.data, "weights_version": self.version}
        write_model(path, self.bases, self.config, about)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: no such file.
            WeightsError: the file is damaged, newer than this version or not a model.
        """
        model = cls()
        model.bases, model.config, about = read_model(Path(path), NMFConfig)
        model.talkers, model.data = about.get("talkers") is True, str(about.get("data"))
        model.version = str(about.get("weights_version", ""))
        return model

    @classmethod
    def pretrained(cls, **settings: Any) -> Self:
        """The shipped speech bases; noise is learned from each recording."""
        return cls.load(SHIPPED).with_settings(**settings)
