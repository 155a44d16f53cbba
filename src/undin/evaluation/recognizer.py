"""Word error rate as a metric: the command of a recognizer, and the words that were spoken."""

import csv
import io
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from undin.audio import resample
from undin.errors import InputError
from undin.metrics import Metric, WordErrors, wer_of, word_errors
from undin.spectrum import Array

SR = 16000  # of recognizers
TIMEOUT_S = 600
POOLED = "WER is pooled: errors in all mixtures divided by the words of their transcripts."


def _undefined(ref: object, est: object, sr: int) -> float:
    raise InputError("WER is undefined without a recognizer")


WER = Metric("wer", "WER", "", 3, _undefined, higher_is_better=False, reference=False)  # see `Recognizer.metric`


@dataclass(frozen=True)
class Recognizer:
    """A program that prints the words of a file, and the words it should print.

    Attributes:
        command: as in a shell, with {in} for a WAV file (16 bits, 16 kHz, mono); it is run without a shell.
        texts: name of a mixture or of an utterance -> its words.
    """

    command: str
    texts: Mapping[str, str]

    def __post_init__(self) -> None:
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise InputError(f"--wer-cmd {self.command!r}: {error}: check its quotes") from error
        if not any("{in}" in word for word in words):
            raise InputError(f"--wer-cmd must be 'program {{in}}', a command that prints text; got {self.command!r}")
        if not shutil.which(words[0]):
            raise InputError(f"--wer-cmd: {words[0]} is not installed, or not on the PATH")

    @classmethod
    def make(cls, command: str, transcripts: Path) -> "Recognizer":
        """With the words of a file or folder; see `read_transcripts`."""
        return cls(command, read_transcripts(transcripts))

    def metric(self, spoken: Sequence[Sequence[str]]) -> Metric:
        """`WER` for one mixture.

        Args:
            spoken: for each signal, the names under which its words may be found.
        """
        return replace(WER, score=lambda _, est, sr: self.measure(spoken, np.asarray(est), sr))

    def text_of(self, names: Sequence[str]) -> str | None:
        """The words of the first name that has some."""
        return next((self.texts[name] for name in names if name in self.texts), None)

    def n_words(self, spoken: Sequence[Sequence[str]]) -> int:
        """How many words are spoken in one mixture; `spoken` as in `metric`."""
        return sum(word_errors(ref=self.text_of(names) or "", est="").n_words for names in spoken)

    def measure(self, spoken: Sequence[Sequence[str]], est: Array, sr: int) -> float:
        """Word error rate of one mixture, over the words of all its signals.

        Args:
            spoken: as in `metric`.
            est: (n_samples,) or (n_channels, n_samples); or one row per signal, where there are several.
            sr: Hz.

        Raises:
            InputError: there are no words, or the recognizer fails.
        """
        errors = WordErrors()
        signals = est.reshape(len(spoken), -1, est.shape[-1]).mean(1)
        for names, x in zip(spoken, signals, strict=True):
            if (text := self.text_of(names)) is None:
                raise InputError(f"WER is undefined: no transcript of {' or '.join(dict.fromkeys(names))}")
            errors += wer_of(est=resample(x, sr, SR), sr=SR, text=text, recognizer=self.command, timeout_s=TIMEOUT_S)
        return errors.rate


def read_transcripts(path: Path) -> dict[str, str]:
    """Read names and their words.

    Args:
        path: a CSV file with columns id and text; lines of a name and its words, as LibriSpeech and Kaldi have them; or
            a folder of .txt files, one for each name, or of LibriSpeech's .trans.txt.

    Raises:
        InputError: it cannot be read, or holds no words.
    """
    try:
        if path.is_dir():
            texts: dict[str, str] = {}
            for file in sorted(path.rglob("*.txt")):
                content = file.read_text("utf-8-sig")
                texts |= _parse(content) if file.name.endswith(".trans.txt") else {file.stem: content}
        else:
            texts = _parse(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the transcripts {path}: {error}") from error
    if not texts:
        raise InputError(
            f"{path} has no transcripts; expected CSV columns id and text, or lines of an id and its words: "
            "use --transcripts"
        )
    return texts


def _parse(content: str) -> dict[str, str]:
    table = csv.DictReader(io.StringIO(content, newline=""))
    columns = table.fieldnames or []
    if "text" in columns and "id" in columns:
        return {row["id"]: row["text"] for row in table if row["text"]}
    if len(columns) > 2 and "id" in columns:  # a manifest
        return {}
    lines = [line.split(maxsplit=1) for line in content.splitlines()]
    return {line[0]: line[1] for line in lines if len(line) == 2}
