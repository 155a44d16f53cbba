"""Several live streams at once: frames of streams that use the same method are processed in one call.

A graph costs several times less per frame in a batch than alone. Where a method's state is batch first in all of its
parts, as those of networks are, streams are stacked for the call and taken apart behind it; others are called one by
one.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from undin.cores import Causal, State
from undin.errors import InputError
from undin.spectrum import Array, ComplexArray
from undin.stream import Stream

Asked = tuple[int, Causal, ComplexArray]  # number of the stream, its core, its frames


def process_together(streams: Sequence[Stream], chunks: Sequence[Array]) -> list[Array | InputError]:
    """`process(chunk, equal=True)` of several live streams.

    Args:
        streams: of causal methods, each once.
        chunks: one for each stream, (..., n_samples), a few seconds at most.

    Returns:
        For each stream what `process` gives, or the error of its chunk, which leaves the others alone.

    Raises:
        WeightsError: a method fails.
    """
    answers: list[Array | InputError] = []
    groups: defaultdict[Hashable, list[Asked]] = defaultdict(list)
    for i, (stream, chunk) in enumerate(zip(streams, chunks, strict=True)):
        try:
            X, core = stream.begin(chunk), stream.core
        except InputError as error:
            answers.append(error)
            continue
        answers.append(chunk)
        if X is None:
            answers[i] = stream.end(chunk.shape[-1], iter(()))
        else:
            assert isinstance(core, Causal)
            shapes = {name: np.shape(part) for name, part in core.state(X).items()}
            alone = any(shape[:1] != X.shape[:1] for shape in shapes.values())
            key = tuple((name, shape[1:]) for name, shape in shapes.items())
            groups[id(stream.method), X.shape[1:], key, i if alone else None].append((i, core, X))
    for group in groups.values():
        for (i, core, X), (Y, state) in zip(group, _step(group), strict=True):
            answers[i] = streams[i].end(chunks[i].shape[-1], core.take(X, Y, state))
    return answers


def _step(group: Sequence[Asked]) -> list[tuple[ComplexArray, State]]:
    """Answers and new states of streams with the same method and the same shape of frames."""
    method = group[0][1].method
    states = [core.state(X) for _, core, X in group]
    if len(group) == 1:
        return [method.step(group[0][2], states[0])]
    stacked = {name: np.concatenate([state[name] for state in states]) for name in states[0]}
    Y, new = method.step(np.concatenate([X for _, _, X in group]), stacked)
    ends = np.cumsum([len(X) for _, _, X in group])[:-1]
    parts = [dict(zip(new, each, strict=True)) for each in zip(*(np.split(x, ends) for x in new.values()), strict=True)]
    return list(zip(np.split(Y, ends, -3), parts or [{}] * len(group), strict=True))
