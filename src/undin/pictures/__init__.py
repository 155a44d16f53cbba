"""Spectrograms, waveforms and masks to look at, drawn for comparison: one scale for all signals of a picture.

Needs matplotlib (`pip install "undin[plot]"`), used through its objects alone: no window opens, no global state
changes, and the same signals give the same PNG, byte for byte.

signals.py  spectrograms and waveforms
planes.py   masks, attention, embeddings
panels.py   what they share, and the way to a file or a page
"""

from undin.pictures.panels import Shot, shot
from undin.pictures.planes import heat_maps, masks, points
from undin.pictures.signals import overview, spectrograms, waveforms

__all__ = ["Shot", "heat_maps", "masks", "overview", "points", "shot", "spectrograms", "waveforms"]
