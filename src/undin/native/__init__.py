"""A causal network without Python: C99, and what is built of it."""

from undin.native.library import Library, make_library

__all__ = ["Library", "make_library"]
