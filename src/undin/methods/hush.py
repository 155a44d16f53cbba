"""`hush`: the enhancer for files: the trunk of `lull`, wider and with both directions of time.

The network is `undin.training.nets.lull` with causal = False; what runs is its graph.
"""

from dataclasses import dataclass

from undin.checks import Count
from undin.methods.base import Card
from undin.methods.learned import Learned
from undin.methods.lull import LullConfig


@dataclass(frozen=True)
class HushConfig(LullConfig):
    """Settings of the enhancer for files: those of `LullConfig`, with other defaults."""

    channels: Count = 96
    kernel_frames: Count = 3
    causal: bool = False


class Hush(Learned):
    """The enhancer for files."""

    id = "hush"
    Config = HushConfig
    card = Card(
        summary="the network of lull, wider and in both directions of time; the default for files",
        source="ours, after BSRNN (Luo and Yu 2023), DPCRN (Le et al. 2021) and FastEnhancer (Ahn et al. 2025)",
    )
    chunk_s = 8.0  # nothing in it looks further than some seconds, and memory is by this length
    config: HushConfig
