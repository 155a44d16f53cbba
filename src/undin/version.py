"""The version of undin, for modules that note it in what they write."""

__version__ = "0.1.0"
