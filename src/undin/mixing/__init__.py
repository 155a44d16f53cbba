"""Utterances and noise -> mixtures of a known SNR, one at a time or as a manifest that gives the same samples again.

mix(speech, noise, snr_db=...) -> Mixture
make_manifest(corpus, n=...) -> rows -> write_manifest / read_manifest -> render(row, corpus) -> Mixture
"""

from undin.mixing.manifest import MixtureRow, make_manifest, read_manifest, render, write_manifest
from undin.mixing.mix import Mixture, mix

__all__ = ["Mixture", "MixtureRow", "make_manifest", "mix", "read_manifest", "render", "write_manifest"]
