"""`twain`: two talkers and a rest, each by a complex mask; bands, memories both ways and a view of the entire signal.

The network is `undin.training.nets.twain`; what runs is its graph, which returns n_src + 1 masks that sum to one. What
belongs to no talker, the rest, is shared equally between them, so that the talkers sum to the input.
"""

from dataclasses import dataclass
from typing import Annotated

from undin.audio import MOST_TALKERS
from undin.checks import Count, Natural, NotNegative, Positive, check_fields
from undin.errors import InputError
from undin.methods.base import Card
from undin.methods.learned import Learned
from undin.runner import MOST_K
from undin.spectrum import Window


@dataclass(frozen=True)
class TwainConfig:
    """Settings of the separator.

    Attributes:
        sr: sample rate in Hz that n_fft and hop_length refer to; other rates use the same durations.
        n_fft: samples a frame spans.
        hop_length: samples between frames.
        window: see `undin.spectrum.get_window`.
        talkers: number of talkers; the rest is one muse a longer one.
        causal: past only, for live use; else both directions of time, which needs the entire signal.
        band_bins: bins in each band, from 0 Hz up; their sum is n_fft / 2, the bin at sr / 2 goes with the one below.
        patch_frames: frames that are one step of the trunk; 1 if causal.
        channels: numbers that describe a band in a step.
        blocks: of the trunk.
        scene: units, per direction, of each block's memory over all bands; 0 for none.
        scene_channels: channels per band into and out of that memory.
        heads: attention heads over time, each over all bands; 0 for none, as causal networks must have.
        head_channels: channels per band of each head's queries and keys.
        level_s: causal: the input is divided by its running level over this many seconds; else by that of the signal.
        limit_db: signal-to-noise ratio at which the loss levels off.
        silence_db: level of an output re the mixture at which it is silent enough where its talker is silent.
        embedding: numbers per bin of an embedding learned along with the masks and not used later; 0 for none.
        cluster_weight: weight of its clustering loss, in dB.
        voice: numbers per step that describe each talker's voice, for recognizing it later; 0 for none.
        voice_weight: weight of the contrastive loss that they are learned by.
    """

    sr: Count = 16000
    n_fft: Count = 512
    hop_length: Count = 256
    window: Window = "sqrt_hann"
    talkers: Annotated[int, ">= 2", f"<= {MOST_TALKERS}"] = 2
    causal: bool = False
    band_bins: tuple[Count, ...] = (4,) * 16 + (8,) * 8 + (16,) * 8
    patch_frames: Count = 2
    channels: Count = 96
    blocks: Count = 3
    scene: Natural = 128
    scene_channels: Count = 8
    heads: Natural = 4
    head_channels: Count = 4
    level_s: Positive = 2.0
    limit_db: Positive = 30.0
    silence_db: Positive = 40.0
    embedding: Natural = 0
    cluster_weight: NotNegative = 20.0
    voice: Annotated[int, ">= 0", f"<= {MOST_K}"] = 0
    voice_weight: NotNegative = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if sum(self.band_bins) != self.n_fft // 2:
            raise InputError(
                f"band_bins must sum to n_fft // 2 = {self.n_fft // 2}; "
                f"got {self.band_bins} with the sum {sum(self.band_bins)}"
            )
        if self.causal and (self.heads or self.patch_frames != 1):
            raise InputError(
                f"a causal network needs heads = 0 and patch_frames = 1; got {self.heads!r} and {self.patch_frames!r}"
            )
        if self.heads and self.channels % self.heads:
            raise InputError(f"channels must be a multiple of heads; got {self.channels!r} and {self.heads!r}")

    def frames(self, seconds: float) -> int:
        """A duration in frames, at least one."""
        return max(round(seconds * self.sr / self.hop_length), 1)


class Twain(Learned):
    """The separator."""

    id = "twain"
    Config = TwainConfig
    config: TwainConfig
    card = Card(
        summary="bands, memories in both directions and attention: a complex mask for each talker and the rest",
        source="ours, after BSRNN (Luo and Yu 2023) and TF-GridNet (Wang et al. 2023)",
        kind="separate",
    )
