"""Where the files of a mixture go: a pattern for each of its signals.

A pattern is a path below the output folder, with fields in braces as Python formats them, such as {snr_db:.2f}.
"""

import string
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from undin.errors import InputError
from undin.mixing.manifest import MixtureRow, Source

FORMATS = ("flac", "wav")
SIGNALS = ("noisy", "clean", "noise")
FIELDS = {
    "id": "name of the mixture",
    "n": "its number, from 1",
    "block": "its number divided by 10000, for folders of that many files",
    "split": "train, dev or test",
    "stage": "training or testing",
    "snr_db": "SNR in dB",
    "speech": "name of the (first) talker's file",
    "noise": "name of the (first) noise's file",
    "speaker": "label of the talkers",
    "kind": "kind of the noises",
    "k": "number of the talker, in the pattern of clean",
}
UNIQUE = {"id", "n"}  # two mixtures differ in these


@dataclass(frozen=True)
class Layout:
    """Patterns of a mixture's files.

    Attributes:
        noisy: of the mixture.
        clean: of the reference; one file for each talker where it holds {k}, else their sum.
        noise: of the noise.
        format: flac or wav, added to patterns without an extension.
        table: also write system 4's table of names and onsets, tab-separated.
    """

    noisy: str = "noisy/{id}"
    clean: str = "clean/{id}"
    noise: str = "noise/{id}"
    format: str = "flac"
    table: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise InputError(f"the format must be {' or '.join(FORMATS)}; got {self.format}")
        for signal in SIGNALS:
            pattern = getattr(self, signal)
            try:
                names = {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}
                if unknown := names - FIELDS.keys():
                    raise InputError(
                        f"the template's fields are {', '.join(FIELDS)}; got {', '.join(sorted(unknown)) or '{}'} "
                        f"in {signal}={pattern}"
                    )
                self.path(pattern, EXAMPLE, 1, 1)
            except ValueError as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(f"the template {signal}={pattern} cannot be filled in: {error}") from error
        if self.noisy in (self.clean, self.noise) or self.clean == self.noise:
            raise InputError(
                f"the patterns of {', '.join(SIGNALS)} must differ; got {self.noisy}, {self.clean}, {self.noise}"
            )

    @property
    def is_unique(self) -> bool:
        """Whether no two mixtures can have one name."""
        return all(
            UNIQUE & {name for _, name, _, _ in string.Formatter().parse(getattr(self, signal))} for signal in SIGNALS
        )

    @property
    def folders(self) -> list[str]:
        """The folders that files go to, those that are the same for all mixtures."""
        heads = [getattr(self, signal).partition("{")[0].rpartition("/")[0] for signal in SIGNALS]
        return list(dict.fromkeys(filter(None, heads)))

    def outputs(self, row: MixtureRow, n: int) -> dict[str, list[str]]:
        """Signal -> its files, of mixture number n (from 1)."""
        n_clean = len(row.speech) if "{k}" in self.clean else 1
        files = {"noisy": [self.path(self.noisy, row, n, 1)]}
        files["clean"] = [self.path(self.clean, row, n, k) for k in range(1, n_clean + 1)]
        files["noise"] = [self.path(self.noise, row, n, 1)] if row.noise else []
        return files

    def path(self, pattern: str, row: MixtureRow, n: int, k: int) -> str:
        """Fill in one pattern.

        Args:
            pattern: with names in braces.
            row: of the manifest.
            n: number of the row, from 1.
            k: number of the talker, from 1.
        """
        values = {
            "id": row.id,
            "n": n,
            "block": f"{(n - 1) // 10000:05d}",
            "split": row.split,
            "stage": "training" if row.split == "train" else "testing",
            "snr_db": row.snr_db,
            "speech": name_of(row.speech[0]),
            "noise": name_of(row.noise[0]) if row.noise else "none",
            "speaker": row.speaker,
            "kind": row.kind,
            "k": k,
        }
        safe = {name: v.replace("/", "_").replace("\\", "_") if isinstance(v, str) else v for name, v in values.items()}
        path = PurePosixPath(pattern.format(**safe))
        if path.is_absolute() or ".." in path.parts:
            raise InputError(f"mixtures must be inside the output folder; got the path {path} from {pattern}")
        return str(path if path.suffix[1:] in FORMATS else f"{path}.{self.format}")


def name_of(source: Source) -> str:
    """Name of a source's file without its extensions, and where in it the slice starts unless at its start."""
    stem = PurePosixPath(source.path).stem.removesuffix(".opus")
    return f"{stem}-{round(source.offset_s * 1000)}ms" if source.offset_s else stem


_CLIP = Source("a.wav", 0.0, 1.0, 0, 0.0, "a")
EXAMPLE = MixtureRow("a-0", 8000, 1, (_CLIP,), (_CLIP,), 0.0, "clip", 0.0, "train", 0)

LAYOUTS = {
    "folders": Layout(),
    "six-folders": Layout(  # YunyangZeng's data preparation
        "NoisySpeech_{stage}/noisy{n}_SNRdb_{snr_db:.2f}_clnsp{n}",
        "CleanSpeech_{stage}/clnsp{n}",
        "Noise_{stage}/noisy{n}_SNRdb_{snr_db:.2f}",
        format="wav",
    ),
    "pairs": Layout(  # sednn's
        "mixed_audios/{split}/{snr_db:g}db/{speech}.{noise}.wav",
        "clean_audios/{split}/{snr_db:g}db/{speech}.{noise}.wav",
        "noise_audios/{split}/{snr_db:g}db/{speech}.{noise}.wav",
        format="wav",
        table=True,
    ),
}


def parse_layout(text: str, format: str | None = None, talkers: int = 1) -> Layout:
    """Choose or read a template.

    Args:
        text: a name in LAYOUTS, or patterns such as "noisy=x/{id},clean=y/{id}"; those left out stay as in "folders".
        format: flac or wav; None for the template's.
        talkers: with more than one, "folders" writes s1/, s2/ ... in place of clean/.

    Raises:
        InputError: no such template, signal or field.
    """
    changes: dict[str, Any] = {"format": format} if format else {}
    if talkers > 1:
        changes["clean"] = "s{k}/{id}"
    if "=" not in text:
        if text not in LAYOUTS:
            raise InputError(f"the template must be {', '.join(LAYOUTS)}, or noisy=PATTERN,clean=PATTERN; got {text!r}")
        if talkers > 1 and text != "folders":
            raise InputError(f"the template {text} is for one talker: use folders, or patterns with {{k}} in clean")
        return replace(LAYOUTS[text], **changes)
    for part in text.split(","):
        signal, _, pattern = part.partition("=")
        if signal.strip() not in SIGNALS or not pattern:
            raise InputError(f"a template must be {','.join(f'{s}=PATTERN' for s in SIGNALS)}; got {part!r}")
        changes[signal.strip()] = pattern.strip()
    layout = replace(LAYOUTS["folders"], **changes)
    if talkers > 1 and "{k}" not in layout.clean:
        raise InputError(f"with {talkers} talkers the pattern of clean must contain {{k}}; got {layout.clean}")
    return layout
