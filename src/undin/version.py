"""The version of undin, for modules that record it in their outputs."""

__version__ = "0.1.0"
