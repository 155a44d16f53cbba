"""`lull`: the live speech enhancer: bands, memories for each and for all, one complex mask; causal, no look-ahead.

The network is `undin.training.nets.lull`; what runs is its graph.
"""

from dataclasses import dataclass

from undin.checks import Count, NotNegative, Positive, Share, check_fields
from undin.errors import InputError
from undin.methods.base import Card
from undin.methods.learned import Learned
from undin.spectrum import Window


@dataclass(frozen=True)
class LullConfig:
    """Settings of the live enhancer.

    Attributes:
        sr: sample rate in Hz that n_fft and hop_length refer to; other rates use the same durations.
        n_fft: samples a frame spans.
        hop_length: samples between frames.
        window: see `undin.spectrum.get_window`.
        band_bins: bins in each band, from 0 Hz up; their sum is n_fft / 2, the bin at sr / 2 goes with the one below.
        channels: numbers that describe a band.
        blocks: of the trunk, each a convolution over frames and bands, then a memory over time, one for all bands.
        scene: units of the GRU over all bands at once, after the first block.
        scene_channels: per-band channels into and out of the scene GRU.
        kernel_frames: frames that a convolution sees, this one and those before.
        kernel_bands: bands that a convolution sees, odd.
        separable: whether convolutions are depthwise, followed by a matrix: a fifth of the products.
        level_s: the input is divided by its running level over this many seconds.
        causal: whether it looks at the past only, for live use; else convolutions and memories look both ways in time,
            and the level is that of level_s before and after.
        level_hz: frequency up to which that level is measured, so that it does not depend on the sample rate.
        power: compression of magnitudes in the loss.
        complex_weight: share of the phase in the spectral loss, 0 to 1.
        snr_weight: weight of the signal-to-noise ratio in the loss, per dB.
        most_snr_db: where that ratio saturates: errors below are not worth more effort.
        envelope_weight: weight in the loss of 1 less the correlation of envelopes that ESTOI measures.
        pesq_weight: weight in the loss of what predicted PESQ lacks to its best score.
        dnsmos_weight: weight in the loss of what DNSMOS (overall) lacks to 5, from one in four examples.
        upper_weight: weight in the spectral loss of a bin above level_hz, relative to one below.
        upper_limit_db: a bin above level_hz is attenuated by at most this much, so that hiss there stays steady.
        upper_slope, upper_offset: the logit of a gain above level_hz is multiplied by the slope, then lowered by the
            offset: uncertain gains fall to the limit, so that hiss does not follow the syllables. For trained weights.
        clean_db: the input passes as it is where, over clean_s seconds, what would be removed is this much weaker than
            what would be kept; 120 and above: never. For trained weights.
        clean_s: seconds of that comparison: up to each frame, or half before and half after it if not causal.
    """

    sr: Count = 16000
    n_fft: Count = 512
    hop_length: Count = 256
    window: Window = "sqrt_hann"
    band_bins: tuple[Count, ...] = (4,) * 16 + (8,) * 8 + (16,) * 8
    channels: Count = 64
    blocks: Count = 2
    scene: Count = 256
    scene_channels: Count = 8
    kernel_frames: Count = 2
    kernel_bands: Count = 3
    separable: bool = False
    level_s: Positive = 1.5
    causal: bool = True
    level_hz: Positive = 8000.0
    power: Positive = 0.3
    complex_weight: Share = 0.1
    snr_weight: NotNegative = 0.01
    most_snr_db: Positive = 30.0
    envelope_weight: NotNegative = 1.5
    pesq_weight: NotNegative = 0.0
    dnsmos_weight: NotNegative = 0.0
    upper_weight: NotNegative = 0.25
    upper_limit_db: Positive = 120.0
    upper_slope: Positive = 1.0
    upper_offset: NotNegative = 0.0
    clean_db: Positive = 120.0
    clean_s: Positive = 5.0

    def __post_init__(self) -> None:
        check_fields(self)
        if sum(self.band_bins) != self.n_fft // 2:
            raise InputError(
                f"band_bins must be n_fft // 2 = {self.n_fft // 2} in all; got {self.band_bins} with the sum "
                f"{sum(self.band_bins)}"
            )
        if self.kernel_bands % 2 == 0:
            raise InputError(f"kernel_bands must be odd, so that it has a center; got {self.kernel_bands}")
        if not self.causal and self.kernel_frames % 2 == 0:
            raise InputError(f"kernel_frames must be odd where causal is False; got {self.kernel_frames}")

    @property
    def level_bins(self) -> int:
        """Bins up to level_hz."""
        return min(round(self.level_hz * self.n_fft / self.sr), self.n_fft // 2) + 1

    @property
    def passes_clean(self) -> bool:
        """Whether nearly clean input passes as it is."""
        return self.clean_db < 120

    def frames(self, seconds: float) -> int:
        """A duration in frames, at least one."""
        return max(round(seconds * self.sr / self.hop_length), 1)


class Lull(Learned):
    """The live enhancer."""

    id = "lull"
    Config = LullConfig
    card = Card(
        summary="band-split dual-path network with one complex mask; causal; the default for live audio",
        source="ours, after BSRNN (Luo and Yu 2023), DPCRN (Le et al. 2021) and FastEnhancer (Ahn et al. 2025)",
    )
    config: LullConfig
