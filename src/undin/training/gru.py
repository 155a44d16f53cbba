"""`torch.nn.GRU` with a fused kernel for training on a CPU.

Torch runs a GRU as about 15 small operations per frame, each of which allocates, reads and writes memory. `gru.cpp`
does one direction in one call: the products by blocks of rows, the gates in registers, and only what the backward pass
needs is stored. It is compiled at first use, into a cache folder. Without a compiler, on a GPU, in graphs and wherever
no gradient is needed, torch's own implementation runs; results differ by rounding alone.
"""

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-std=c++20", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-fPIC", "-shared")
MACHINE = {"AVX512": ("-march=x86-64-v4", "-mprefer-vector-width=512"), "AVX2": ("-march=x86-64-v3",)}
ROWS = 32  # of a block in gru.cpp


class GRU(nn.GRU):
    """`torch.nn.GRU`: the same arguments, parameters and results, but faster to train on a CPU.

    The kernel takes one layer with biases, (T, B, input_size), one way or both ways.
    """

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """See `torch.nn.GRU`."""
        if not self._fits(input):
            output, state = super().forward(input, hx)
            return output, state
        n_ways = 1 + self.bidirectional
        if hx is None:
            hx = input.new_zeros(n_ways, input.shape[1], self.hidden_size)
        self.check_forward_args(input, hx, None)
        half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        dtype = torch.bfloat16 if half else torch.float32
        runs_half = half and multiplies_half() and not (self.input_size % 2 or self.hidden_size % 2)
        inner = torch.bfloat16 if runs_half else torch.float32
        output, state = _Fused.apply(input.to(inner), hx.to(inner), *self._flat_weights)  # type: ignore[no-untyped-call]
        return output.to(dtype), state.to(dtype)

    def _fits(self, x: Tensor) -> bool:
        plain = self.num_layers == 1 and self.bias and not self.batch_first and self.proj_size == 0
        return (
            torch.is_grad_enabled()
            and isinstance(x, Tensor)
            and x.device.type == "cpu"
            and x.ndim == 3
            and x.numel() > 0
            and x.dtype in (torch.float32, torch.bfloat16)
            and (x.dtype == torch.float32 or torch.is_autocast_enabled("cpu"))
            and plain
            and self.weight_ih_l0.dtype == torch.float32
            and not torch._C._get_tracing_state()
            and not torch.compiler.is_compiling()
            and kernel() is not None
        )


class _Fused(torch.autograd.Function):
    """(x, h0, weights of each direction) -> (output, last state)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, h0: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
        T, N, I = x.shape
        n_ways, _, H = h0.shape
        x, h0 = x.contiguous(), h0.contiguous()
        y, saved = x.new_empty(T, N, n_ways * H), x.new_empty(n_ways, T, N, 4 * H)
        for way in range(n_ways):
            W, U, b, c = weights[4 * way : 4 * way + 4]
            bias = torch.cat([b[2 * H :], b[: 2 * H] + c[: 2 * H], c[2 * H :]])
            call = [x, h0[way], interleaved(W.roll(H, 0).t(), x), interleaved(U.t(), x), bias, y[..., way * H :]]
            _run("forward", x, [T, N, I, H, n_ways * H, way, 0], *call, saved[way])
        ctx.save_for_backward(x, h0, y, *weights)
        ctx.saved = saved
        return y, _ends(y, n_ways).clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, d_state: Tensor) -> tuple[Tensor | None, ...]:
        x, h0, y, *weights = ctx.saved_tensors
        if ctx.saved is None:
            raise RuntimeError("the fused GRU frees its buffers in the backward pass: it runs once per forward pass")
        saved, ctx.saved = ctx.saved, None  # the kernel overwrites it
        (T, N, I), (n_ways, _, H) = x.shape, h0.shape
        dy, dh = dy.contiguous(), d_state.float().contiguous().clone()
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        of_weights: list[Tensor] = []
        for way in range(n_ways):
            W, U = weights[4 * way : 4 * way + 2]
            db = x.new_zeros(-(-N // ROWS), 4 * H, dtype=torch.float32)
            call = [dy[..., way * H :], h0[way], interleaved(W.roll(H, 0), x), interleaved(U, x), y[..., way * H :]]
            _run("backward", x, [T, N, I, H, n_ways * H, way, way], *call, saved[way], dx, dh[way], db)
            of_weights += _of_weights(saved[way], x, h0[way], y[..., way * H : (way + 1) * H], db.sum(0), way)
        return dx, dh.to(h0.dtype), *of_weights


def _of_weights(g: Tensor, x: Tensor, h0: Tensor, y: Tensor, db: Tensor, reverse: int) -> list[Tensor]:
    """Derivatives of one direction's weights from those of its gates (T, N, 4 H), in the order n, r, z, m."""
    H = h0.shape[-1]
    past, first = (slice(0, -1), -1) if reverse else (slice(1, None), 0)
    before = y[1:] if reverse else y[:-1]
    dW = g[..., : 3 * H].flatten(0, 1).t() @ x.flatten(0, 1)
    dU = g[past, :, H:].flatten(0, 1).t() @ before.flatten(0, 1) + g[first, :, H:].t() @ h0
    return [dW.float().roll(-H, 0), dU.float(), db[: 3 * H].roll(-H), db[H:]]


def _ends(y: Tensor, n_ways: int) -> Tensor:
    """Last states (n_ways, N, H)."""
    return y[-1][None] if n_ways == 1 else torch.stack([y[-1].chunk(2, -1)[0], y[0].chunk(2, -1)[1]])


def interleaved(B: Tensor, like: Tensor) -> Tensor:
    """A factor (k, n) in the dtype of `like`; in bfloat16, (k / 2, n, 2), as the processor wants it."""
    B = B.to(like.dtype)
    return B.contiguous() if B.dtype == torch.float32 else B.reshape(-1, 2, B.shape[1]).transpose(1, 2).contiguous()


def _run(name: str, x: Tensor, sizes: list[int], *arrays: Tensor | None) -> None:
    library = kernel()
    assert library is not None
    pointers = [ctypes.c_void_p(None if a is None else a.data_ptr()) for a in arrays]
    function = getattr(library, f"{name}_{'fp32' if x.dtype == torch.float32 else 'bf16'}")
    function((ctypes.c_int64 * len(sizes))(*sizes), *pointers)


def multiplies_half() -> bool:
    """Whether the processor has instructions for products of bfloat16; without them float32 is as fast."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


@cache
def kernel() -> ctypes.CDLL | None:
    """The compiled kernel, None where it cannot be compiled."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or os.name != "posix":
        return None
    home, flags = Path(torch.__file__).parent, (*FLAGS, *MACHINE.get(torch.backends.cpu.get_cpu_capability(), ()))
    key = hashlib.sha256(repr((SOURCE.read_text(), torch.__version__, flags, compiler)).encode()).hexdigest()[:16]
    library = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "undin" / f"gru-{key}.so"
    command = [
        *shlex.split(compiler),
        *flags,
        "-isystem",
        f"{home}/include",
        str(SOURCE),
        f"-L{home}/lib",
        "-ltorch_cpu",
        "-lc10",
    ]
    try:
        if not library.exists():
            library.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=library.parent) as folder:
                part = Path(folder) / library.name
                subprocess.run([*command, "-o", str(part)], check=True, capture_output=True)
                part.replace(library)
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.CalledProcessError):
        return None
