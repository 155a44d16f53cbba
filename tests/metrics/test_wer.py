import sys
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undin.errors import InputError
from undin.metrics import WordErrors, wer, wer_of, word_errors

WORDS = st.lists(st.sampled_from("abc"), max_size=6)


def twin(ref, est):
    """The least (errors, deletions) over every alignment, by plain recursion."""

    @cache
    def least(i, j):
        if i == len(ref) or j == len(est):
            return len(ref) - i + len(est) - j, len(ref) - i
        n, d = least(i + 1, j + 1)
        ways = [(n + (ref[i] != est[j]), d)]
        n, d = least(i + 1, j)
        ways.append((n + 1, d + 1))
        n, d = least(i, j + 1)
        ways.append((n + 1, d))
        return min(ways)

    return least(0, 0)


@given(ref=WORDS, est=WORDS)
def test_counts_the_least_errors_of_all_alignments(ref, est):
    errors = word_errors(ref=ref, est=est)
    n, deletions = twin(tuple(ref), tuple(est))
    assert errors.substitutions + errors.deletions + errors.insertions == n
    assert errors.deletions == deletions
    assert len(ref) - errors.deletions + errors.insertions == len(est)
    assert errors.n_words == len(ref)
    if ref:
        assert wer(ref=ref, est=est) == pytest.approx(n / len(ref))


@pytest.mark.parametrize(
    ("ref", "est", "substitutions", "deletions", "insertions"),
    [
        ("one two three", "one two three", 0, 0, 0),
        ("one two three", "one three", 0, 1, 0),
        ("one two three", "one or two three", 0, 0, 1),
        ("one two three", "won two tree", 2, 0, 0),
        ("one two three", "", 0, 3, 0),
        ("", "hello there", 0, 0, 2),
        ("a b", "b c", 2, 0, 0),
        ("Don't stop - ever!", "don’t, STOP ever", 0, 0, 0),
        ("a well-known café", "a well known cafe\u0301", 0, 0, 0),
    ],
)
def test_known_counts(ref, est, substitutions, deletions, insertions):
    errors = word_errors(ref=ref, est=est)
    assert (errors.substitutions, errors.deletions, errors.insertions) == (substitutions, deletions, insertions)


def test_a_list_is_used_unchanged():
    assert wer(ref=["A", "b."], est=["a", "b."]) == 0.5
    assert wer(ref=list("你好吗"), est=list("你好")) == pytest.approx(1 / 3)


def test_the_rate_of_a_corpus_is_that_of_its_sums():
    parts = [word_errors(ref="one two three four", est="one two three"), word_errors(ref="five", est="six seven")]
    assert sum(parts, WordErrors()).rate == pytest.approx(3 / 5)
    with pytest.raises(InputError, match="WER is undefined: ref has no words"):
        wer(ref=" - ", est="word")


LISTENER = """
import sys, wave
with wave.open(sys.argv[1]) as f:
    print("rate", f.getframerate(), "bits", 8 * f.getsampwidth(), "frames", f.getnframes())
"""


def test_any_command_is_a_recognizer():
    est = 0.1 * np.sin(np.arange(800)).astype(np.float32)
    errors = wer_of(
        est=est, sr=8000, text="rate 8000 bits 16 frames eight hundred",
        recognizer=[sys.executable, "-c", LISTENER, "{in}"],
    )  # fmt: skip
    assert errors == WordErrors(substitutions=1, deletions=1, insertions=0, n_words=7)
    with pytest.raises(InputError, match=r"must be a command with \{in\} in it"):
        wer_of(est=est, sr=8000, text="x", recognizer="hear this")
    with pytest.raises(InputError, match="no-such-recognizer cannot be run: No such file"):
        wer_of(est=est, sr=8000, text="x", recognizer="no-such-recognizer {in}")


@pytest.mark.parametrize(
    ("code", "settings", "message"),
    [
        ("import sys; sys.exit('model not found')", {}, "exited with 1: model not found"),
        ("import sys; sys.exit(3)", {}, "exited with 3: no output"),
        ("import time; time.sleep(60)", {"timeout_s": 0.2}, "exceeded timeout_s = 0.2"),
    ],
)
def test_a_recognizer_that_fails_is_an_error(code, settings, message):
    with pytest.raises(InputError, match=message):
        wer_of(
            est=0.1 * np.sin(np.arange(80)), sr=8000, text="x", recognizer=[sys.executable, "-c", code, "{in}"],
            **settings,
        )  # fmt: skip
