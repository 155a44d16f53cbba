"""One program for any number of frames."""

import numpy as np
import pytest

from undin.errors import WeightsError
from undin.native.frames import for_any_length
from undin.native.program import Program


def test_weights_that_differ_with_the_length_are_refused():
    def translate(n_frames, scale):
        program = Program()
        program.weight(np.full((2, 3), 1 + scale * n_frames, np.float32), None, panels=False)
        X, Y = program.pin((n_frames, 2)), program.pin((n_frames, 3))
        return program, X, Y

    program, _, _ = for_any_length(lambda T: translate(T, 0), 50)
    assert program.sizes == [100, 150] and len(program.weights) == 1
    with pytest.raises(WeightsError, match="grows faster than the length of the signal"):
        for_any_length(lambda T: translate(T, 1), 50)
