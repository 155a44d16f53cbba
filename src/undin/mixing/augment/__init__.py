"""Augmentations of training mixtures.

augment.py     Augment: shares and ranges, and what is drawn from them; USUAL
effects.py     speed, pitch, equalizer, clipping, pauses    codecs.py      lossy codecs, in process
synthetic.py   synthetic noise                              fast_rooms.py  rooms, quicker than following every echo
"""

from undin.mixing.augment.augment import USUAL, Augment

__all__ = ["USUAL", "Augment"]
