"""Noisy files and their clean twins in two folders -> rows, without a manifest.

noisy/ and clean/, or any two names that begin so: noisy_testset_wav and clean_testset_wav (VoiceBank-DEMAND),
NoisySpeech_training and CleanSpeech_training (MS-SNSD). Twins have the same name, or one that says which they are:
..._fileid_7.wav and clean_fileid_7.wav (DNS challenge), noisy7_SNRdb_5.0_clnsp7.wav and clnsp7.wav (MS-SNSD).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from undin import audio
from undin.audio import rms_db
from undin.corpora import Corpus, trees
from undin.errors import InputError, UndinError
from undin.mixing.manifest import MixtureRow, Source
from undin.mixing.mix import Samples

SNR = re.compile(r"snr(?:db_)?(-?\d+(?:\.\d+)?)(?=_|$)", re.IGNORECASE)
NUMBER = re.compile(r"(fileid_\d+|clnsp\d+)$", re.IGNORECASE)
SPEAKER = re.compile(r"(p\d{3})_\d+")  # of VCTK and VoiceBank
KIND = "noise"


@dataclass(frozen=True)
class Pairs:
    """Two folders of twins.

    Attributes:
        noisy: folder of the mixtures.
        clean: folder of the references.
    """

    noisy: Path
    clean: Path

    @classmethod
    def find(cls, folder: Path) -> "Pairs":
        """The two folders in a folder, those of a test set where there are several; or a folder and its sibling.

        Raises:
            InputError: there are none, or several.
        """
        for root, wanted in ((folder, ""), (folder.resolve().parent, folder.resolve().name.lower())):
            names = trees.folders(root)
            found = [cls(names[name], names[twin]) for name, twin in _twins(names) if wanted in ("", name)]
            found = [pairs for pairs in found if "test" in pairs.noisy.name.lower()] or found
            if len(found) == 1:
                return found[0]
            if found:
                choices = ", ".join(str(pairs.noisy) for pairs in found)
                raise InputError(f"{folder} has several folders of mixtures: choose one of {choices}")
        raise InputError(
            f"{folder}: expected a manifest.csv from `undin mix`, or folders noisy/ and clean/ with the same file names"
        )

    def corpus(self) -> Corpus:
        """Their files, at the rate of the first mixture.

        Raises:
            InputError: no mixtures.
        """
        first = next(trees.files(self.noisy), None)
        if first is None:
            raise InputError(f"{self.noisy}: no audio files in this folder")
        return Corpus(self.noisy.parent, (), sr=audio.info(first).sr, mono=True)

    def rows(self, corpus: Corpus) -> Iterator[MixtureRow | InputError]:
        """A row for each noisy file, or its error.

        The SNR is that in the file name, otherwise it is measured.

        Args:
            corpus: from `corpus`.
        """
        twins = {key: path for path in trees.files(self.clean) for key in _keys(path, self.clean)}
        for path in trees.files(self.noisy):
            try:
                clean = next((twins[key] for key in _keys(path, self.noisy) if key in twins), None)
                if clean is None:
                    raise InputError(f"{path} has no clean counterpart in {self.clean}")
                yield _row(corpus, path, clean, path.relative_to(self.noisy).with_suffix("").as_posix())
            except UndinError as error:
                yield InputError(str(error))


def _twins(names: dict[str, Path]) -> Iterator[tuple[str, str]]:
    for name in names:
        if name.startswith("noisy") and (twin := "clean" + name.removeprefix("noisy")) in names:
            yield name, twin


def _keys(path: Path, root: Path) -> list[str]:
    """Keys for matching pairs, best first: the name; the name without "noisy" and "clean"; its trailing number."""
    name = path.relative_to(root).with_suffix("").as_posix()
    bare = re.sub(r"(noisy|clean)_?", "", name, flags=re.IGNORECASE)
    number = NUMBER.search(name)
    return [name, f"bare {bare}", *([f"number {number[0].lower()}"] if number else [])]


def _row(corpus: Corpus, noisy: Path, clean: Path, id: str) -> MixtureRow:
    lengths = [_n_samples(path, corpus.sr) for path in (noisy, clean)]
    if lengths[0] != lengths[1]:
        raise InputError(f"{noisy} has {lengths[0]} samples and {clean} {lengths[1]}: they must be aligned")
    seconds, speaker, named_snr = lengths[0] / corpus.sr, SPEAKER.match(noisy.stem), SNR.search(noisy.stem)
    sources = [
        Source(path.relative_to(corpus.root).as_posix(), 0.0, seconds, 0, 0.0, label)
        for path, label in ((clean, speaker[1] if speaker else ""), (noisy, KIND))
    ]
    snr_db = (
        float(named_snr[1]) if named_snr else _snr_db(*(corpus.read(source.path, 0.0, seconds) for source in sources))
    )
    if not np.isfinite(snr_db):
        raise InputError(f"{noisy} has no finite SNR: it equals {clean}, or the clean file is silent")
    return MixtureRow(
        id, corpus.sr, lengths[0], (sources[0],), (sources[1],), snr_db, "clip", 0.0, "test", 0, reference="pair"
    )


def _n_samples(path: Path, sr: int) -> int:
    duration = audio.info(path).duration
    if duration is None:
        raise InputError(f"{path} has no known length: convert it to WAV or FLAC")
    return round(duration * sr)


def _snr_db(clean: Samples, noisy: Samples) -> float:
    noise_db = rms_db(noisy - clean)
    return round(rms_db(clean) - noise_db, 6) if np.isfinite(noise_db) else np.inf
