"""Utterances and noise -> mixtures of a known SNR: one at a time, on the fly, or as files that can be made again.

mix(speech, noise, snr_db=...) -> Mixture                                           two arrays
Examples(corpus, settings, augment, seed=...)[i] -> Mixture                         random crops, for training
draw(corpus, n, seed=...) -> rows -> write_manifest / read_manifest -> render(row, corpus) -> Mixture

settings.py   Settings: what mixtures are like         mix.py      levels and gains, on arrays
draw.py       Drawing: row i from the seed and i       render.py   rows -> samples
manifest.py   MixtureRow and its CSV file              rooms.py    rooms, from image sources [rooms]
layout.py     names of files                           write.py    to disk: workers, shards, resume
examples.py   Examples: what training eats             crops.py    random crops of voices and noises
augment/      Augment: what makes them richer
journal.py    rows of interrupted runs               pairs.py    noisy files and their clean twins as rows
config_ini.py the config.ini of an older project
"""

from undin.mixing.draw import Drawing, Seen, draw, make_manifest
from undin.mixing.examples import Examples
from undin.mixing.manifest import MixtureRow, Source, read_manifest, write_manifest
from undin.mixing.mix import Mixture, mix
from undin.mixing.pairs import Pairs
from undin.mixing.render import render
from undin.mixing.settings import Settings

__all__ = [
    "Drawing",
    "Examples",
    "Mixture",
    "MixtureRow",
    "Pairs",
    "Seen",
    "Settings",
    "Source",
    "draw",
    "make_manifest",
    "mix",
    "read_manifest",
    "render",
    "write_manifest",
]
