"""`undin export METHOD --to c`: a network with its transform as C99 files."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import undin
from undin.atomic import atomic_write
from undin.cores import OVERLAP_S
from undin.errors import InputError
from undin.methods import Learned, load
from undin.native.frames import for_any_length
from undin.native.onnx_file import read_graph
from undin.native.program import Program, Weight
from undin.native.translate import translate
from undin.spectrum import COSINE_SUMS, n_frames_of
from undin.stream import frame_at

TEMPLATES = Path(__file__).with_name("templates")
MIN_RATE, MAX_RATE = 8000, 48000
# What becomes of the graph's output M and the frame (re, im) that it answers.
REAL = "u->Y[s][0][f] = {0} * re[f];\nu->Y[s][1][f] = {0} * im[f];"
COMPLEX = "float a = {0}, b = {1};\nu->Y[s][0][f] = a * re[f] - b * im[f];\nu->Y[s][1][f] = a * im[f] + b * re[f];"
SPECTRUM = "(void)re, (void)im;\nu->Y[s][0][f] = {0};\nu->Y[s][1][f] = {1};"
# What only a network that looks both ways has.
WHOLE_FIELDS = """
    int chunk, stride, oldest, left;        /* frames of a chunk and from one to the next; place of the next frame out;
                                               frames to the end, -1 while that is not known */
    int waiting, answered, at, length, overlap, order[@NAME@_SOURCES]; /* frames; the next one in its chunk; sources */
    float last[@overlap@][@NAME@_SOURCES][2][@NAME@_BINS]; /* what the last chunk said to frames of this one */
"""
WHOLE_END = """
/* The signal has ended: process as many zeros as the latency, and all of it is in the output. */
void @name@_end(@name@ *u);
"""
WHOLE_FINISH = "@name@_end(&stream), "
SPEEDS_FIELDS = """
    float x[@NAME@_WAIT * @hop_length@], y[@NAME@_SOURCES][@NAME@_WAIT * @hop_length@]; /* at @sr@ Hz */
    float E[@NAME@_SOURCES][2][@NAME@_WAIT][@NAME@_BINS]; /* estimates, summed over the speeds, and the first's size */
    float first[@NAME@_SOURCES][@NAME@_WAIT][@NAME@_BINS];
"""[1:]
WHOLE_EXPORT = """EXPORT("end") void end(void);
void end(void) { @name@_end(&stream); }
"""
WHOLE_RESET = """
    u->oldest = 1 % @NAME@_WAIT;
    u->left = -1;
    u->waiting = u->answered = u->at = u->length = u->overlap = 0;
"""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the disk into an InputError that names the output.

    Args:
        path: file or folder.

    Raises:
        InputError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another -o") from error


@dataclass(frozen=True)
class Library:
    """C files of one network.

    Attributes:
        name: of the struct, and what functions and files begin with: "undin_lull".
        label: the model's own name: "lull".
        method: the network with its transform.
        files: text by file name.
        n_bytes: size of the weights.
        values: what templates are filled with.
    """

    name: str
    label: str
    method: Learned
    files: dict[str, str]
    n_bytes: int
    values: dict[str, object]

    def fill(self, template: str, **more: object) -> str:
        """A template of this package filled in for the network.

        Args:
            template: its file name.
            more: further values.
        """
        return fill((TEMPLATES / template).read_text("utf-8"), {**self.values, **more})

    def write(self, folder: Path) -> None:
        """Write the files.

        Args:
            folder: made if it is missing.

        Raises:
            InputError: it cannot be written to.
        """
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in self.files.items():
                with atomic_write(folder / name, "w") as file:
                    file.write(text)


def make_library(model: str | Path) -> Library:
    """Translate a network; a description of voices is left out, so that talkers are not followed by their voices.

    Args:
        model: an id of `undin.METHODS`, or the path of an .onnx that undin exported.

    Raises:
        InputError: no such method, or one that is not a network.
        WeightsError: the file is damaged, or uses operations that export to C does not know.
    """
    method = load(model)
    if not isinstance(method, Learned):
        raise InputError(f"{method.id} is not a network: export lull, cmask, mann, lstm-mask or your own to C")
    path = method.runner.path
    name = "undin_" + re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    graph, output = read_graph(path.read_bytes()), method.runner.meta["output"]
    if method.causal:
        program, X, Y = translate(graph, output, list(method.runner.shapes))
    else:
        program, X, Y = for_any_length(partial(translate, graph, output, []), longest(method)[1])
    data, table = pack(program.weights)
    values = _values(name, method, program, (X.base, Y.base), Y.shape[1])
    files = {
        f"{name}{suffix}": fill((TEMPLATES / template).read_text("utf-8"), values)
        for suffix, template in ((".h", "library.h"), (".c", "library.c"), ("_net.h", "net.h"))
    }
    files["example.c"] = fill((TEMPLATES / "example.c").read_text("utf-8"), values)
    files[f"{name}_weights.h"] = _weights_file(name, data, table)
    return Library(name, plain(path.stem), method, files, len(data), values)


def plain(text: str) -> str:
    """Text of a model file that can end neither a comment nor a string of C."""
    return re.sub(r"[^ -~]|[*?\\\"]", " ", text)


def fill(template: str, values: dict[str, object]) -> str:
    """Put values where @their names@ are.

    Args:
        template: the text.
        values: by name.
    """
    return re.sub(r"@(\w+)@", lambda found: str(values[found[1]]), template)


def longest(method: Learned) -> tuple[int, int, int]:
    """Most frames of a network that looks both ways, at any rate: that wait, that it gets at once, that overlap.

    Args:
        method: its config has the frame, and perhaps "speeds".
    """
    config = method.config
    per_s = {rate / frame_at(config, rate).hop_length for rate in range(MIN_RATE, MAX_RATE + 1)}
    chunks = [(round(method.chunk_s * n), round(OVERLAP_S * n)) for n in per_s]
    wait = max(2 * chunk - overlap for chunk, overlap in chunks)
    frames = [frame_at(config, rate) for rate in _speeds(config)]
    most = max([wait, *(n_frames_of(wait * config.hop_length, *frame) for frame in frames)])
    return wait, most, max(overlap for _, overlap in chunks)


def _speeds(config: Any) -> list[int]:
    """Rates that a signal is declared to have, one for each speed; see `undin.methods.talker_masks`."""
    return [round(speed * config.sr) for speed in getattr(config, "speeds", ())]


def _values(name: str, method: Learned, program: Program, ends: tuple[str, str], n_outputs: int) -> dict[str, object]:
    """Values for the templates."""
    c, n_bins = method.config, method.config.n_fft // 2 + 1
    frame = frame_at(c, MAX_RATE)
    places, memory = program.place()
    window, root = _window(c.window)
    upper = max(frame.n_fft // 2 + 1 - n_bins, 0)
    values: dict[str, object] = {
        "name": name,
        "NAME": name.upper(),
        "id": method.id,
        "summary": plain(method.card.summary),
        "version": undin.__version__,
        "weights": plain(method.runner.meta["weights"]),
        "licence": plain(method.card.licence),
        "data": plain(method.card.data),
        "sources": method.n_src or 1,
        "max_n_fft": frame.n_fft,
        "max_hop": frame.hop_length,
        "n_bins": n_bins,
        "fft_size": 1 << (2 * frame.n_fft - 1).bit_length(),
        "bands": upper // max(int(1000 * frame.n_fft / MAX_RATE), 1) + 2,
        "memory": memory,
        "n_weights": sum(_padded(weight) for weight in program.weights),
        "input_at": places[int(ends[0][2:])],
        "output_at": places[int(ends[1][2:])],
        "sr": c.sr,
        "n_fft": c.n_fft,
        "hop_length": c.hop_length,
        "window": window,
        "root": root,
        "answer": _indent(_answer(method, n_outputs), 12),
        "step": program.text(),
    }
    return values | (_live_values(method, values) if method.causal else _whole_values(method, values))


def _live_values(method: Learned, values: dict[str, object]) -> dict[str, object]:
    """What only a causal network has."""
    more: dict[str, object] = {
        "wait": method.lookahead + 1,
        "source": "s",
        "output": "u->memory + {output_at}".format(**values),
        "next": "{NAME}_BINS".format(**values),
        "use": "Streaming audio",
        **dict.fromkeys(("fields", "end", "reset", "export", "finish"), ""),
    }
    return more | {"frames": fill((TEMPLATES / "live.c").read_text("utf-8"), values | more)}


def _whole_values(method: Learned, values: dict[str, object]) -> dict[str, object]:
    """What only a network that looks both ways has."""
    wait, _, overlap = longest(method)
    speeds = _speeds(method.config)
    more: dict[str, object] = {
        "wait": wait,
        "overlap": overlap,
        "chunk_s": method.chunk_s,
        "overlap_s": OVERLAP_S,
        "source": "u->order[s]",
        "output": "u->E[0][0][0]" if speeds else "u->memory + {output_at}".format(**values),
        "next": ("{NAME}_WAIT * {NAME}_BINS" if speeds else "u->length * {NAME}_BINS").format(**values),
        "use": "For files: the output is half a minute late",
        "speeds": ", ".join(map(str, speeds)),
        "at_all_speeds": "    answer_at_all_speeds(u, n);\n" * bool(speeds),
    }
    if speeds:
        more["answer"] = _indent(SPECTRUM.format("M[2 * k * next + f]", "M[(2 * k + 1) * next + f]"), 12)
    values = values | more
    texts = {"fields": WHOLE_FIELDS + SPEEDS_FIELDS * bool(speeds), "end": WHOLE_END, "reset": WHOLE_RESET}
    texts |= {"export": WHOLE_EXPORT, "finish": WHOLE_FINISH}
    texts["all_speeds"] = (TEMPLATES / "speeds.c").read_text("utf-8") * bool(speeds)
    filled = {name: fill(text, values) for name, text in texts.items()}
    frames = fill((TEMPLATES / "whole.c").read_text("utf-8"), values | filled)
    return more | filled | {"frames": frames}


def _window(window: object) -> tuple[str, str]:
    """A window at any length: the terms of its sum of cosines, and the C expression of the window from that sum."""
    name = window.removeprefix("sqrt_") if isinstance(window, str) else ""
    if name not in COSINE_SUMS:
        raise InputError(f"export to C needs one of the windows {', '.join(COSINE_SUMS)}; got {window!r}")
    terms = ", ".join(map(repr, COSINE_SUMS[name]))
    return terms, "sum" if window == name else "sqrt(sum > 0.0 ? sum : 0.0)"


def _answer(method: Learned, n_outputs: int) -> str:
    """Y of source s from output k of the graph, see `undin.methods.learned`."""
    kind, n_src = method.runner.meta["output"], method.n_src
    if kind == "shares" and n_src == n_outputs - 1:
        return REAL.format(f"(M[k * next + f] + M[{n_src} * next + f] / {n_src}.0f)")
    if kind == "shares" and n_src:
        real, imaginary = (f"M[(k + {i}) * next + f] + M[{i + n_src} * next + f] / {n_src}.0f" for i in (0, n_src + 1))
        return COMPLEX.format(real, imaginary)
    if kind == "mask" and (n_src or n_outputs == 1):
        return REAL.format("M[k * next + f]")
    if kind == "mask":
        return COMPLEX.format("M[k * next + f]", "M[(k + 1) * next + f]")
    if kind == "spectrum":
        return SPECTRUM.format("M[k * next + f]", "M[(k + 1) * next + f]")
    raise InputError(f"{method.id} returns an {kind}, which needs more than a network: export another method to C")


def _indent(text: str, n: int) -> str:
    return "".join(" " * n + line for line in text.splitlines(keepends=True))


def _padded(weight: Weight) -> int:
    return -(-weight.n_floats // 16) * 16


def pack(weights: Iterable[Weight]) -> tuple[bytes, list[tuple[int, ...]]]:
    """Weights as bytes: in half precision where that loses nothing, as integers where they are.

    Args:
        weights: matrices.

    Returns:
        The bytes; and for each weight the bytes of a number, rows, columns, whether it goes into panels, where it
        begins in the bytes, and where it is to go, in floats.
    """
    data, table, to = bytearray(), [], 0
    for weight in weights:
        at, W = len(data), weight.array
        if weight.scale is not None:
            kind = 1
            data += weight.scale.astype("<f4").tobytes()
            data += np.rint(W / weight.scale).astype(np.int8).tobytes()
        elif W.size >= 64 and np.array_equal(W.astype(np.float16).astype(np.float32), W):
            kind = 2
            data += W.astype("<f2").tobytes()
        else:
            kind = 4
            data += W.astype("<f4").tobytes()
        data += b"\0" * (-len(data) % 4)
        table.append((kind, *W.shape, int(weight.panels), at, to))
        to += _padded(weight)
    return bytes(data), table


def _weights_file(name: str, data: bytes, table: list[tuple[int, ...]]) -> str:
    words = [f"{word:#x}" for word in np.frombuffer(data, "<u4")]
    lines = [", ".join(words[i : i + 12]) for i in range(0, len(words), 12)]
    rows = ",\n    ".join("{" + ", ".join(map(str, row)) + "}" for row in table)
    return (
        "/* Weights. Of each: bytes of a number, rows, columns, whether in panels, where it begins, where it goes. */\n"
        f"static const int {name}_table[][6] = {{\n    {rows}}};\n\n"
        f"static const uint32_t {name}_data[] = {{\n" + ",\n".join(lines) + "};\n"
    )


__all__ = ["Library", "make_library"]
