"""A causal network without Python: C99, and libraries built from it."""

from undin.native.build import SUFFIX, build_ladspa, build_wasm, page_files, prebuild, write_page
from undin.native.compiled import Compiled, CompiledPackets, CompiledStream
from undin.native.library import Library, make_library

__all__ = [
    "SUFFIX",
    "Compiled",
    "CompiledPackets",
    "CompiledStream",
    "Library",
    "build_ladspa",
    "build_wasm",
    "make_library",
    "page_files",
    "prebuild",
    "write_page",
]
