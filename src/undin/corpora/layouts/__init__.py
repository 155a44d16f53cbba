"""The known layouts of corpora, one module each, in the order in which they are tried."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from undin.corpora.clip import Clip
from undin.corpora.layouts import (
    chime3,
    demand,
    esc50,
    librimix,
    librispeech,
    ms_snsd,
    musan,
    noisex92,
    plain,
    tables,
    timit,
    vctk,
    voicebank_demand,
    wsj0,
)


class KnownLayout(Protocol):
    """Interface of a layout module."""

    def recognize(self, root: Path) -> bool:
        """Whether the folder has this layout."""

    def rows(self, root: Path) -> Iterator[Clip]:
        """Its clips; whole-file clips have infinite duration until headers are read."""


LAYOUTS: dict[str, KnownLayout] = {
    "tables": tables,
    "timit": timit,
    "librispeech": librispeech,
    "vctk": vctk,
    "voicebank-demand": voicebank_demand,
    "esc-50": esc50,
    "musan": musan,
    "ms-snsd": ms_snsd,
    "demand": demand,
    "chime-3": chime3,
    "noisex-92": noisex92,
    "librimix": librimix,
    "wsj0": wsj0,
    "plain": plain,
}
