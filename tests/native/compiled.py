"""C files of a network, compiled by this machine's compiler and called through ctypes."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from undin.native import Library, make_library

CC = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
needs_cc = pytest.mark.skipif(CC is None, reason="no C compiler on this machine")
Floats = ctypes.POINTER(ctypes.c_float)


def compile_c(*args: object) -> None:
    """Run the compiler; its words are those of a failing test."""
    done = subprocess.run([str(CC), *STRICT, *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]


class Compiled:
    """A network's C files as a library.

    Args:
        library: the files.
        folder: where they go.
        flags: for the compiler.
    """

    def __init__(self, library: Library, folder: Path, *flags: str) -> None:
        self.library, self.method, self.name = library, library.method, library.name
        library.write(folder)
        size = f'#include "{self.name}.h"\nunsigned long size_of(void);\nunsigned long size_of(void) '
        (folder / "size.c").write_text(f"{size}{{ return sizeof({self.name}); }}\n")
        compile_c(
            *flags, "-shared", "-fPIC", folder / "size.c", folder / f"{self.name}.c", "-o", folder / "lib.so", "-lm"
        )
        self.lib = ctypes.CDLL(str(folder / "lib.so"))
        self.lib.size_of.restype = ctypes.c_ulong
        self.state = ctypes.create_string_buffer(self.lib.size_of())

    def call(self, function: str, *args: object) -> int:
        """A function of the library on the state."""
        return int(getattr(self.lib, f"{self.name}_{function}")(self.state, *args))

    def start(self, sr: int, n_channels: int, limit_db: float | None = None) -> None:
        """Prepare for a signal."""
        assert self.call("init", sr, n_channels) == 0
        self.call("limit", ctypes.c_float(-1.0 if limit_db is None else limit_db))

    def process(self, x: np.ndarray, blocks: list[int]) -> np.ndarray:
        """x (n_channels, n_samples) in blocks of these sizes, over and over -> (n_src * n_channels, n_samples)."""
        x = np.ascontiguousarray(x, np.float32)
        y = np.zeros((len(x) * (self.method.n_src or 1), x.shape[1]), np.float32)
        at = i = 0
        while at < x.shape[1]:
            n, i = min(blocks[i % len(blocks)], x.shape[1] - at), i + 1
            ins, outs = ((Floats * len(z))(*[row[at:].ctypes.data_as(Floats) for row in z]) for z in (x, y))
            self.call("process", ins, outs, n)
            at += n
        return y

    def process_file(self, x: np.ndarray, block: int = 4096) -> np.ndarray:
        """All of x (n_channels, n_samples) -> (n_src * n_channels, n_samples), aligned; of any network."""
        late = self.call("latency")
        y = self.process(x, [block])
        if not self.method.causal:
            getattr(self.lib, f"{self.name}_end")(self.state)
        return np.concatenate([y, self.process(np.zeros((len(x), late)), [block])], 1)[:, late:]


def build(name: str | Path, folder: Path, *flags: str) -> Compiled:
    """Translate and compile a method or an .onnx."""
    return Compiled(make_library(name), folder, *flags)
