"""A network's step as C statements, its weights and the memory it works in.

Statements name buffers ("$b3") and weights ("$w3"); `Program.text` puts numbers there once all lifetimes are known:
buffers that are never needed at the same time share memory.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from undin.errors import WeightsError
from undin.native.values import Constant, Value, View, merge_axes, strides_of

PANEL = 16  # columns of a matrix that lie together; a row of them fills one or two vector registers
MOST_PIECES = 512  # runs that a copy of scattered elements may have
LOOPS = "ijkln"


@dataclass(frozen=True)
class Weight:
    """A matrix in the binary array, row by row; a vector is a matrix of one row.

    Attributes:
        array: (n_rows, n_columns) float32.
        scale: of 8-bit integers, one step of each column, (n_columns,); None for floats.
        panels: whether the C code wants it in panels of `PANEL` columns, for `gemm`.
    """

    array: NDArray[np.float32]
    scale: NDArray[np.float32] | None
    panels: bool

    @property
    def n_floats(self) -> int:
        """Room that it takes once expanded."""
        rows, columns = map(int, self.array.shape)
        return rows * -(-columns // PANEL) * PANEL


class Program:
    """Collects statements; its methods are what operations are made of."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.sizes: list[int] = []  # floats in each buffer
        self.pinned: set[int] = set()  # buffers that keep their contents from one step to the next
        self.weights: list[Weight] = []

    # Memory

    def buffer(self, size: int) -> str:
        """Allocate a buffer of `size` floats; return its name."""
        self.sizes.append(size)
        return f"$b{len(self.sizes) - 1}"

    def pin(self, shape: tuple[int, ...]) -> View:
        """A buffer that keeps its contents: an input, an output or a state."""
        size = int(np.prod(shape, dtype=int))
        self.pinned.add(len(self.sizes))
        return View(self.buffer(size), np.arange(size).reshape(shape))

    def fresh(self, shape: tuple[int, ...], like: Sequence[View] = ()) -> View:
        """A new array, its axes ordered in memory as those of the largest of `like`."""
        size = int(np.prod(shape, dtype=int))
        model = max(like, key=lambda view: np.unique(view.at).size, default=None)
        order = list(range(len(shape)))
        if model is not None:
            strides = (0,) * (len(shape) - model.at.ndim) + (strides_of(model.at) or (0,) * model.at.ndim)
            order.sort(key=lambda axis: -abs(strides[axis]) if strides[axis] else -np.inf)
        at = np.arange(size).reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
        return View(self.buffer(size), at)

    def weight(self, array: NDArray[np.float32], scale: NDArray[np.float32] | None = None, *, panels: bool) -> str:
        """Keep a matrix; gives its name.

        Args:
            array: (n_rows, n_columns).
            scale: one step of each column, (n_columns,), of 8-bit integers; None for floats.
            panels: whether it is for `gemm`.
        """
        self.weights.append(Weight(np.ascontiguousarray(array, np.float32), scale, panels))
        return f"$w{len(self.weights) - 1}"

    def view(self, value: Value) -> View:
        """A value as something with addresses: constants become weights."""
        if isinstance(value, View):
            return value
        array = np.asarray(value.array, np.float32)
        base = self.weight(array.reshape(1, -1), panels=False)
        return View(base, np.arange(array.size).reshape(array.shape))

    # Statements

    def emit(self, text: str) -> None:
        """Add a statement."""
        self.statements.append(text)

    def note(self, text: str) -> None:
        """Add a comment."""
        self.statements.append(f"/* {re.sub(r'[^ -~]|[*?$]', ' ', text)} */")

    def elementwise(self, expression: str, *operands: Value) -> View:
        """A new array, each element from those of the operands, which are broadcast.

        Args:
            expression: in C, with {0}, {1}, ... for the operands.
            operands: arrays; those with one value only become literals.
        """
        shape = np.broadcast_shapes(*(operand.shape for operand in operands))
        views, terms = self._terms(shape, operands)
        out = self.fresh(shape, [view for view in views if view.base.startswith("$b")])
        self.loop(shape, [out, *views], lambda o, *xs: f"{o} = {expression.format(*terms(xs))};")
        return out

    def _terms(
        self, shape: tuple[int, ...], operands: Sequence[Value]
    ) -> tuple[list[View], Callable[[tuple[str, ...]], list[str]]]:
        """The operands that have addresses, affine over `shape`, and how to fill literals in between them."""
        literals = [literal(x) for x in operands]
        views = []
        for x, number in zip(operands, literals, strict=True):
            if number is None:
                view = self.view(x)
                views.append(View(view.base, np.broadcast_to(view.at, shape)))
        views = [view if strides_of(view.at) is not None else self.copy(view) for view in views]

        def fill(found: tuple[str, ...]) -> list[str]:
            rest = iter(found)
            return [next(rest) if number is None else number for number in literals]

        return views, fill

    def reduce(self, start: str, update: str, finish: str, axes: tuple[int, ...], *operands: Value) -> View:
        """A new array from sums (or maxima) over some axes, which are kept with length 1.

        Args:
            start: first value of the accumulator t, in C.
            update: new value of t, with {0}, {1}, ... for the operands.
            finish: the result from t.
            axes: those that go.
            operands: arrays, broadcast against each other.
        """
        shape = np.broadcast_shapes(*(operand.shape for operand in operands))
        axes = tuple(axis % len(shape) for axis in axes)
        views, terms = self._terms(shape, operands)
        kept = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
        inner = tuple(n if axis in axes else 1 for axis, n in enumerate(shape))
        out = self.fresh(kept, [View(v.base, _first(v, axes)) for v in views if v.base.startswith("$b")])

        def body(o: str, *heads: str) -> str:
            loops, items = self._inner(inner, [strides_of(view.at) or () for view in views], heads)
            return f"{{ float t = {start}; {loops}t = {update.format(*terms(items))}; {o} = {finish}; }}"

        heads = [View(view.base, _first(view, axes)) for view in views]
        self.loop(kept, [out, *heads], body)
        return out

    def _inner(
        self, shape: tuple[int, ...], strides: list[tuple[int, ...]], heads: tuple[str, ...]
    ) -> tuple[str, tuple[str, ...]]:
        """Loops over the reduced axes, and the operands in there."""
        sizes, steps = merge_axes(shape, strides)
        names = [f"r{i}" for i in range(len(sizes))]
        loops = "".join(f"for (int {v} = 0; {v} < {n}; {v}++) " for v, n in zip(names, sizes, strict=True))
        items = tuple(
            head[:-1] + "".join(f" + {times(step, v)}" for step, v in zip(row, names, strict=True) if step) + "]"
            for head, row in zip(heads, steps, strict=True)
        )
        return loops, items

    def loop(self, shape: tuple[int, ...], views: list[View], body: Callable[..., str]) -> None:
        """Nested loops, as few as can be.

        Args:
            shape: dimensions of the loops.
            views: arrays of that shape; the first decides the order.
            body: the statement in C, from the C text of each array's element.
        """
        strides = [strides_of(view.at) for view in views]
        assert all(row is not None for row in strides)
        if 0 in shape:
            return
        sizes, steps = merge_axes(shape, [row for row in strides if row is not None])
        head = "".join(f"for (int {v} = 0; {v} < {n}; {v}++) " for v, n in zip(LOOPS, sizes, strict=False))
        items = [element(view, row) for view, row in zip(views, steps, strict=True)]
        self.emit(head + body(*items))

    # Moving

    def copy(self, view: View) -> View:
        """A contiguous copy of the array."""
        out = self.fresh(view.shape)
        self.copy_to(view, out)
        return out

    def copy_to(self, source: View, out: View) -> None:
        """Copy elements, in pieces where neighbors are not evenly spaced."""
        pieces = [(source, out)]
        done = 0
        while pieces:
            piece, target = pieces.pop()
            if piece.at.size == 0:
                continue
            if strides_of(piece.at) is not None and strides_of(target.at) is not None:
                self.loop(piece.shape, [target, piece], lambda o, x: f"{o} = {x};")
                done += 1
                if done > MOST_PIECES:
                    raise WeightsError("the graph scatters elements in a way that export to C does not support")
                continue
            axis = next(axis for axis, n in enumerate(piece.shape) if n > 1)
            halves = zip(np.array_split(piece.at, 2, axis), np.array_split(target.at, 2, axis), strict=True)
            pieces += [(View(source.base, a), View(out.base, b)) for a, b in reversed(list(halves))]

    def rows(self, view: View, n_columns: int) -> tuple[View, int]:
        """A view as a matrix for `gemm`: rows of neighbors, one distance between them; and that distance."""
        n_rows = view.at.size // n_columns
        matrix = View(view.base, view.at.reshape(n_rows, n_columns))
        strides = strides_of(matrix.at)
        if strides is None or (strides[1] != 1 and n_columns > 1):
            source = self.copy(view)
            return View(source.base, source.at.reshape(n_rows, n_columns)), n_columns
        return matrix, strides[0] if n_rows > 1 else n_columns

    def gemm(self, x: View, W: Constant, bias: Value | None) -> View:
        """A matrix product.

        Args:
            x: (..., K).
            W: (K, N).
            bias: (N,) to add, or None.

        Returns:
            (..., N).
        """
        K, N = W.shape
        matrix, _ = self.rows(x, K)
        out = self.fresh((*x.shape[:-1], N))
        self.gemm_into(out, matrix, W, None if bias is None else self.view(bias))
        return out

    def gemm_into(self, out: View, rows: View, W: Constant, bias: View | None, *, add: bool = False) -> None:
        """Calls of the kernel.

        Args:
            out: (..., N), in the usual order.
            rows: (M, K), or (n, M, K) for n products; evenly spaced, a row's elements are neighbors.
            W: (K, N), or (n, K, N) with a matrix for each.
            bias: (N,) or None.
            add: accumulate into `out`.
        """
        K, N = W.shape[-2:]
        at = rows.at.reshape(-1, *rows.shape[-2:])
        if len(W.shape) == 2 and strides_of(at.reshape(1, -1, K)) is not None:
            at = at.reshape(1, -1, K)  # one product
        n, M, _ = at.shape
        lda, jump = int(at[0, 1, 0] - at[0, 0, 0] if M > 1 else K), int(at[1, 0, 0] - at[0, 0, 0] if n > 1 else 0)
        scales = [None] * n if W.scale is None else np.broadcast_to(W.scale, W.shape).reshape(-1, K, N)[:, 0]
        names = [self.weight(w, s, panels=True) for w, s in zip(W.array.reshape(-1, K, N), scales, strict=False)]
        i, own = (" + {} * i", self.weights[-1].n_floats) if n > 1 else ("", 0)
        x, to = pointer(View(rows.base, at)) + i.format(jump), pointer(out) + i.format(M * N)
        weight = f"w + {names[0]}" + (i.format(own) if len(names) > 1 else "")
        start = to if add else "0" if bias is None else pointer(bias)
        loop = f"for (int i = 0; i < {n}; i++) " if n > 1 else ""
        self.emit(f"{loop}NAME(gemm)({M}, {K}, {N}, {x}, {lda}, {weight}, {start}, {N if add else 0}, {to});")

    # In the end

    def place(self) -> tuple[list[int], int]:
        """Address of each buffer, and how many floats they need together."""
        spans = self._spans()
        found: list[int] = [0] * len(self.sizes)
        placed: list[int] = []
        for i, size in enumerate(self.sizes):
            at = 0
            for j in sorted(placed, key=lambda j: found[j]):
                apart = spans[i][1] < spans[j][0] or spans[j][1] < spans[i][0]
                if not apart and found[j] < at + _rounded(size) and at < found[j] + _rounded(self.sizes[j]):
                    at = found[j] + _rounded(self.sizes[j])
            found[i] = at
            placed.append(i)
        return found, max((found[i] + _rounded(size) for i, size in enumerate(self.sizes)), default=0)

    def _spans(self) -> list[tuple[int, int]]:
        """The first and the last statement that names each buffer."""
        last = len(self.statements)
        spans = [(0, last) if i in self.pinned else (last, -1) for i in range(len(self.sizes))]
        for time, text in enumerate(self.statements):
            for name in map(int, re.findall(r"\$b(\d+)", text)):
                spans[name] = min(spans[name][0], time), max(spans[name][1], time)
        return spans

    def text(self) -> str:
        """The statements as C, addresses put in."""
        buffers, _ = self.place()
        starts = np.cumsum([0, *(_rounded(weight.n_floats) for weight in self.weights)])

        def number(found: re.Match[str]) -> str:
            return str(buffers[int(found[2])] if found[1] == "b" else starts[int(found[2])])

        return "\n".join("    " + re.sub(r"\$([bw])(\d+)", number, text) for text in self.statements)


def literal(value: Value) -> str | None:
    """A constant that has one value only, as a number in C; None for others."""
    if isinstance(value, View) or value.array.size == 0:
        return None
    first = value.array.flat[0]
    if not np.all(value.array == first):
        return None
    return c_float(float(first))


def c_float(number: float) -> str:
    """A number as C writes a float.

    >>> c_float(0.3), c_float(2)
    ('0.3f', '2.0f')
    """
    if np.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    text = str(np.float32(number))
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def times(step: int, name: str) -> str:
    """A loop's part of an address."""
    return name if step == 1 else f"{step} * {name}"


def pointer(view: View) -> str:
    """Where a view begins, as a C pointer."""
    return f"{'w' if view.base.startswith('$w') else 'm'} + {address(view)}"


def address(view: View) -> str:
    """Where a view begins."""
    offset = int(view.at.flat[0])
    return f"{view.base} + {offset}" if offset else view.base


def element(view: View, steps: list[int]) -> str:
    """An element of a view inside of loops."""
    array = "w" if view.base.startswith("$w") else "m"
    terms = [address(view), *(times(step, name) for step, name in zip(steps, LOOPS, strict=False) if step)]
    return f"{array}[{' + '.join(terms)}]"


def _first(view: View, axes: tuple[int, ...]) -> NDArray[np.int64]:
    """Addresses of the first element along some axes, which are kept with length 1."""
    return view.at[tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(view.at.ndim))]


def _rounded(size: int) -> int:
    return -(-size // PANEL) * PANEL
