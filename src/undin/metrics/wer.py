"""Word error rate: how many words a recognizer gets wrong, the plainest test of whether an estimate helps machines."""

import re
import shlex
import subprocess
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from undin.errors import InputError
from undin.metrics.pairs import by_keyword
from undin.spectrum import Array

Words = str | Sequence[str]


@dataclass(frozen=True)
class WordErrors:
    """Counts of one utterance, or sums over several; the rate of a corpus is that of its sums.

    Attributes:
        substitutions: words replaced by another.
        deletions: missing words of the reference.
        insertions: words that were not spoken.
        n_words: words in the reference.
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    n_words: int = 0

    @property
    def rate(self) -> float:
        """Errors per word of the reference: 0 is best; it exceeds 1 when many words are inserted.

        Raises:
            InputError: the reference has no words.
        """
        if not self.n_words:
            raise InputError("WER is undefined: ref has no words")
        return (self.substitutions + self.deletions + self.insertions) / self.n_words

    def __add__(self, other: "WordErrors") -> "WordErrors":
        return WordErrors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.n_words + other.n_words,
        )


@by_keyword
def wer(*, ref: Words, est: Words) -> float:
    """Word error rate; lower is better: 0 for identical texts, 1 if no word is right.

    Args:
        ref: the reference text; see `word_errors`.
        est: the recognized text.

    Raises:
        InputError: ref has no words.

    >>> wer(ref="The cat sat on the mat.", est="the cat sat on a mat")
    0.16666666666666666
    """
    return word_errors(ref=ref, est=est).rate


@by_keyword
def word_errors(*, ref: Words, est: Words) -> WordErrors:
    """Count the minimum number of substitutions, deletions and insertions that turns one text into the other.

    Texts are compared without case, punctuation and hyphens; apostrophes inside a word stay. Numbers are not spelt out.
    Of several minimal edits, the one with the most substitutions counts.

    Args:
        ref: the reference text; or a list of words, e.g. the characters of a script without spaces.
        est: the recognized text, likewise.

    >>> word_errors(ref="one two three", est="won two three four")
    WordErrors(substitutions=1, deletions=0, insertions=1, n_words=3)
    """
    r, e = (_words(text) for text in (ref, est))
    # row[j]: (errors, deletions, insertions, substitutions) from the words of r so far to e[:j]; the least tuple wins
    row = [(j, 0, j, 0) for j in range(len(e) + 1)]
    for i, word in enumerate(r, 1):
        above, row = row, [(i, i, 0, 0)]
        for j, other in enumerate(e):
            n, d, s, k = above[j]
            same = above[j] if word == other else (n + 1, d, s, k + 1)
            n, d, s, k = above[j + 1]
            deleted = (n + 1, d + 1, s, k)
            n, d, s, k = row[j]
            row.append(min(same, deleted, (n + 1, d, s + 1, k)))
    _, deletions, insertions, substitutions = row[-1]
    return WordErrors(substitutions, deletions, insertions, len(r))


def wer_of(
    *, est: Array, sr: int, text: Words, recognizer: str | Sequence[str], timeout_s: float | None = None
) -> WordErrors:
    """Run a recognizer on an estimate and count its errors; `.rate` is the word error rate.

    Args:
        est: (n_samples,) or (n_channels, n_samples), floating point, full scale 1. The recognizer gets it as a WAV file
            of 16 bits at sr: resample first if it wants another rate.
        sr: sample rate, Hz.
        text: the reference text.
        recognizer: a command that prints the transcript and nothing else, with {in} where the file belongs, e.g.
            "whisper-cli -np -nt -f {in}"; or the list of its words. No shell reads it.
        timeout_s: seconds to wait for it; None for as long as it takes.

    Raises:
        InputError: {in} is missing, the command cannot be run, fails or takes too long, or est breaks the rules of
            `undin.write`.
    """
    from undin.audio import write

    command = shlex.split(recognizer) if isinstance(recognizer, str) else list(recognizer)
    if not any("{in}" in word for word in command):
        raise InputError(
            f'recognizer must be a command with {{in}} in it, such as "transcribe {{in}}"; got {recognizer!r}'
        )
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "est.wav"
        write(wav, est, sr, subtype="PCM_16")
        transcript = _run([word.replace("{in}", str(wav)) for word in command], timeout_s)
    return word_errors(ref=text, est=transcript)


def _run(command: list[str], timeout_s: float | None) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s)
    except OSError as error:
        raise InputError(f"the recognizer {command[0]} cannot be run: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise InputError(f"the recognizer {command[0]} exceeded timeout_s = {timeout_s:g}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
        raise InputError(f"the recognizer {command[0]} exited with {done.returncode}: {said[0]}")
    return done.stdout.decode(errors="replace")


def _words(text: Words) -> list[str]:
    if not isinstance(text, str):
        return list(text)
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return re.findall(r"\w+(?:'\w+)*", plain)
