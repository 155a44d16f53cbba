"""Several live streams at once: frames of streams that use the same method are processed in one call.

A graph costs several times less per frame in a batch than alone, and so does the rest of the way from samples to
samples. Where all parts of a method's state are batch first, as those of networks are, streams are stacked for the call
and taken apart behind it; others are called one by one.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from undin.cores import State
from undin.errors import InputError
from undin.spectrum import Array
from undin.stream import Stream


def process_together(streams: Sequence[Stream], chunks: Sequence[Array]) -> list[Array | InputError]:
    """`process(chunk, equal=True)` of several live streams.

    Args:
        streams: of causal methods, each once.
        chunks: one for each stream, (..., n_samples), a few seconds at most.

    Returns:
        For each stream what `process` returns, or the error of its chunk, which leaves the others alone.

    Raises:
        WeightsError: a method fails.
    """
    answers: list[Array | InputError] = list(chunks)
    groups: defaultdict[Hashable, list[tuple[int, Stream, Array]]] = defaultdict(list)
    for i, (stream, chunk) in enumerate(zip(streams, chunks, strict=True)):
        try:
            frames = stream.begin(chunk)
        except InputError as error:
            answers[i] = error
        else:
            groups[_kind(stream, frames) or i].append((i, stream, frames))
    for group in groups.values():
        for (i, stream, _), y in zip(group, _answer(group), strict=True):
            answers[i] = stream.end(y, chunks[i].shape[-1])
    return answers


def _kind(stream: Stream, frames: Array) -> Hashable:
    """What streams have in common that can be stacked; None for one that cannot."""
    core = stream.state["core"]
    shapes = [getattr(part, "shape", ()) for part in (core["X"], *core["method"].values())]
    if not frames.size or any(shape[:1] != frames.shape[:1] for shape in shapes):
        return None
    return id(stream.method), stream.sr, frames.shape[1:], tuple([shape[1:] for shape in shapes])


def _answer(group: Sequence[tuple[int, Stream, Array]]) -> Iterator[Array]:
    """Answers to frames of streams of one kind, whose states become those for the next frames."""
    _, first, frames = group[0]
    if len(group) == 1:
        y, first.state = first.answer(frames, first.state, first.keep)
        yield y
        return
    counts = [len(frames) for _, _, frames in group]
    keep = np.repeat([stream.keep for _, stream, _ in group], counts)[:, None, None, None]
    stacked = np.concatenate([frames for _, _, frames in group])
    y, state = first.answer(stacked, _stack([stream.state for _, stream, _ in group]), keep)
    start = 0
    for (_, stream, _), n in zip(group, counts, strict=True):
        stream.state = _slice(state, start, start + n)
        yield y[..., start : start + n, :, :]
        start += n


def _stack(states: Sequence[State]) -> State:
    stacked = {}
    for name, part in states[0].items():
        parts = [state[name] for state in states]
        stacked[name] = _stack(parts) if isinstance(part, dict) else np.concatenate(parts)
    return stacked


def _slice(state: State, start: int, stop: int) -> State:
    return {
        name: _slice(part, start, stop) if isinstance(part, dict) else part[start:stop] for name, part in state.items()
    }
