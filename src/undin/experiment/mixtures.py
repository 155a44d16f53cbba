"""The stage of mixtures, and its outputs for later stages."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from undin import mixing
from undin.corpora import Corpus
from undin.errors import InputError
from undin.experiment.progress import StageProgress
from undin.mixing.layout import Layout
from undin.mixing.write import MixtureWriter

LAYOUT = Layout(noisy="test_noisy_audio/{id}_{speaker}_{kind}", clean="clean/{id}", noise="noise/{id}", format="wav")
TALKERS = Layout(noisy="mixtures/{id}", clean="talkers/{id}.{k}", noise="noise/{id}", format="wav")


@dataclass(frozen=True)
class Mixtures:
    """The mixtures in a run folder.

    Attributes:
        folder: of the stage.
        corpus: that they were mixed from.
    """

    folder: Path
    corpus: Corpus

    @property
    def manifest(self) -> Path:
        """Their table."""
        return self.folder / "manifest.csv"

    @cached_property
    def rows(self) -> list[mixing.MixtureRow]:
        """The rows of the manifest."""
        return list(mixing.read_manifest(self.manifest))

    @property
    def has_talkers(self) -> bool:
        """Whether several talkers speak at once."""
        return bool(self.rows) and len(self.rows[0].speech) > 1

    def files(self, i: int) -> dict[str, list[Path]]:
        """Files of mixture i, from 0, by signal: noisy, clean and noise."""
        layout = TALKERS if self.has_talkers else LAYOUT
        found = layout.outputs(self.rows[i], i + 1)
        return {signal: [self.folder / path for path in paths] for signal, paths in found.items()}


def mix(drawing: mixing.Drawing, n: int, place: Path, *, workers: int, progress: StageProgress) -> None:
    """Write manifest.csv and the audio of each mixture, noisy, clean and noise.

    Args:
        drawing: the mixtures.
        n: how many of them.
        place: the stage's folder.
        workers: processes.
        progress: called after each mixture.

    Raises:
        InputError: a mixture cannot be made.
    """
    layout = LAYOUT if drawing.settings.talkers == 1 else TALKERS
    failed = []
    for made in MixtureWriter(drawing.corpus, place, layout=layout, drawing=drawing, n=n).run(workers):
        progress(made.n, n)
        if made.status == "failed":
            failed.append(f"mixture {made.n}: {made.error}")
    if failed:
        raise InputError(f"{len(failed)} of {n} mixtures cannot be made; the first is {failed[0]}")
