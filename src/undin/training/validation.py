"""How good a network is on examples that it does not learn from: always the same ones, shared out over processes."""

from collections import defaultdict

import torch
from torch import Tensor

from undin.errors import InputError
from undin.metrics import METRICS, score_all
from undin.training.batch import Batch
from undin.training.data import ExampleSource, Pair, stack, to_batch
from undin.training.logs import of_input
from undin.training.losses import SILENT, si_sdr_each
from undin.training.nets.base import Network
from undin.training.options import Options
from undin.training.permutation import cheapest, in_order

OWN = "si_sdr_db"  # always measured


class Validation:
    """Measures on examples 0 ... n_valid - 1 of a process's share, made once and kept.

    Args:
        examples: to validate on.
        options: n_valid, batch, valid_metrics, n_metrics.
    """

    def __init__(self, examples: ExampleSource, options: Options) -> None:
        self.examples, self.options = examples, options
        self._pairs: dict[int, Pair] = {}  # first number -> examples
        self._of_input: dict[int, dict[str, float]] = {}  # number of an example -> scores of its noisy

    def sums(self, net: Network, device: torch.device, rank: int = 0, world: int = 1) -> dict[str, tuple[float, int]]:
        """Measure this process's share.

        Args:
            net: on `device`, in evaluation mode.
            device: to compute on.
            rank: of this process.
            world: how many there are.

        Returns:
            name -> (sum over examples, how many they are).
        """
        found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
        for first, pair in self._share(rank, world).items():
            batch = to_batch({name: x.to(device) for name, x in pair.items()}, self.examples.sr)
            for name, value in net.loss(batch).items():
                found[f"valid_{name}"][0] += float(value) * len(batch)
                found[f"valid_{name}"][1] += len(batch)
            if batch.sources is not None and net.output != "spectrum":
                slow = net.output == "embedding"  # clustering
                n = max(self.options.n_metrics - first, 0) if slow else len(batch)
                if len(noisy := batch.noisy[:n]):
                    self._score_talkers(noisy, batch.sources[:n], net.separate(noisy), found)
            elif net.output != "embedding":
                self._score(batch, net.enhance(batch.noisy), first, found)
        return {name: (total, int(n)) for name, (total, n) in found.items()}

    def _share(self, rank: int, world: int) -> dict[int, Pair]:
        n, size = self.options.n_valid, self.options.batch
        firsts = range(0, n, size)[rank::world]
        self._pairs = self._pairs or {i: stack(self.examples, range(i, min(i + size, n))) for i in firsts}
        return self._pairs

    def _score_talkers(self, noisy: Tensor, ref: Tensor, est: Tensor, found: dict[str, list[float]]) -> None:
        """SI-SDR of the talkers (B, n_src, n_samples) that are not silent, in the best order."""
        audible = ref.square().mean(-1) > SILENT
        pairs = si_sdr_each(est[:, :, None].float(), ref[:, None].expand(-1, est.shape[1], -1, -1))
        _, order = cheapest(-pairs * audible[:, None])
        est_db = si_sdr_each(in_order(est, order), ref)
        for name, scores in ((OWN, est_db), (of_input(OWN), si_sdr_each(noisy[:, None].expand_as(ref), ref))):
            found[name][0] += float(scores[audible].sum())
            found[name][1] += int(audible.sum())

    def _score(self, batch: Batch, est: Tensor, first: int, found: dict[str, list[float]]) -> None:
        audible = batch.speech.square().mean(-1) > SILENT
        for name, x in ((OWN, est), (of_input(OWN), batch.noisy)):
            scores = si_sdr_each(x, batch.speech)[audible]
            found[name][0] += float(scores.sum())
            found[name][1] += len(scores)
        for k in range(max(min(len(batch), self.options.n_metrics - first), 0)):
            if first + k not in self._of_input:
                self._of_input[first + k] = self._measure(batch.speech[k], batch.noisy[k], batch.sr)
            before, after = self._of_input[first + k], self._measure(batch.speech[k], est[k], batch.sr)
            for name in before.keys() & after.keys():
                for column, score in ((of_input(name), before[name]), (name, after[name])):
                    found[column][0] += score
                    found[column][1] += 1

    def _measure(self, ref: Tensor, est: Tensor, sr: int) -> dict[str, float]:
        """Scores by `valid_metrics`, without those that are undefined, as for silence."""
        metrics = [METRICS[name] for name in self.options.valid_metrics]
        scores = score_all(metrics, ref.cpu().numpy(), est.float().cpu().numpy(), sr)
        return {name: float(score) for name, score in scores.items() if not isinstance(score, InputError)}


def columns(parts: list[str], options: Options) -> tuple[str, ...]:
    """The results of validation, in order; `parts` are the names of a network's losses."""
    scores = [column for name in (OWN, *options.valid_metrics) for column in (name, of_input(name))]
    return tuple(dict.fromkeys([*(f"valid_{name}" for name in parts), *scores]))


def check_metrics(options: Options, sr: int) -> None:
    """Refuse metrics that cannot be measured here, before anything is trained.

    Raises:
        InputError: one is not defined at this sample rate.
        MissingExtraError: one needs a package that is not installed.
    """
    noise = torch.rand(2, 2 * sr, generator=torch.Generator().manual_seed(0)).sub(0.5).numpy()
    for name in options.valid_metrics:
        metric = METRICS[name]
        if metric.rate_at(sr) is None:
            raise InputError(f"{name} is not defined at {sr} Hz: leave it out of valid_metrics")
        try:
            metric(noise[0], noise[0] + 0.1 * noise[1], sr)
        except InputError:  # of this noise; what matters is that it can be called
            continue
