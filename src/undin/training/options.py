"""How a network is trained: every number that the engine takes, checked where it is made. Imports no torch."""

import math
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from undin.checks import Count, Natural, NotNegative, Positive, ShareBelowOne, check_fields
from undin.errors import InputError
from undin.metrics import METRICS

OWN_METRICS = {"valid_loss": False, "si_sdr_db": True}  # always measured -> whether higher is better


@dataclass(frozen=True)
class Options:
    """Settings of a training run; the part `section` [train] of a recipe.

    Attributes:
        steps: updates of the weights, in all.
        batch: examples per step and process.
        seed: of the first weights, of dropout and of nothing else: the examples have their own.
        lr: learning rate, the highest of the schedule.
        optimizer: "adamw", "adam", "sgd" or "muon" (see `undin.training.muon`; good at adamw's lr).
        momentum: of "sgd".
        weight_decay: on matrices, not on biases and scales; decoupled from the gradient with "adamw" and "muon".
        schedule: after the warm-up, the rate stays ("constant"), falls to 0 at the last step along half a cosine
            ("cosine"), is multiplied by lr_factor whenever `monitor` has not improved for lr_patience validations
            ("plateau"), or every decay_every steps from step decay_from on ("decay").
        warm_up: steps in which the rate rises linearly from 0.
        lr_factor: of "plateau" and "decay".
        lr_patience: validations, of "plateau".
        decay_from: a step, of "decay".
        decay_every: steps, of "decay".
        clip: gradients are brought down to this; 0 leaves them.
        clip_by: the "norm" of all, or each "value".
        ema: weight of the past in a running mean of the weights, which is then what is validated, kept as the best
            and exported: 0.999 is the mean of about 1000 steps. 0 disables averaging.
        precision: "32", or mixed with 16 bits: "bf16-mixed" or "16-mixed".
        compile: run the network through torch.compile.
        valid_every: steps between validations; there is one more after the last step.
        n_valid: examples that validation takes, always the same; their samples stay in memory.
        valid_metrics: names of `undin.metrics.METRICS` to measure at validation, in addition to loss and SI-SDR.
        n_metrics: examples that valid_metrics are measured on, the first ones; of deep clustering, SI-SDR too.
        monitor: what decides which weights are best: "valid_loss", "si_sdr_db" or one of valid_metrics.
        patience: validations without a better `monitor` after which training ends; 0 never ends it.
        log_every: steps between lines of log.csv; each holds the mean loss since the last.
        save_every_min: minutes between checkpoints, in addition to those after validations.
        n_calibrate: batches shown to a network that takes statistics of its data before or after training.
        workers: processes that mix; 0 mixes in between the steps. None takes half of the cores, 8 at most.
        prefetch: batches that each of them has in hand.
        threads: of the network's arithmetic on a processor; None takes all cores.
        accelerator: "auto", "cpu", "gpu" or "mps".
        devices: how many of them on each node, or "auto" for all (of a processor: one process).
        nodes: machines.
        strategy: "auto", or one of Lightning's names.
        tensorboard: also write events for TensorBoard.

    Raises:
        InputError: a value breaks its rule.
    """

    steps: Count = 20000
    batch: Count = 32
    seed: Natural = 0
    lr: Positive = 1e-3
    optimizer: Literal["adamw", "adam", "sgd", "muon"] = "adamw"
    momentum: ShareBelowOne = 0.9
    weight_decay: NotNegative = 0.0
    schedule: Literal["constant", "cosine", "plateau", "decay"] = "cosine"
    warm_up: Natural = 0
    lr_factor: Annotated[float, "> 0", "< 1"] = 0.5
    lr_patience: Natural = 3
    decay_from: Natural = 0
    decay_every: Count = 1000
    clip: NotNegative = 5.0
    clip_by: Literal["norm", "value"] = "norm"
    ema: ShareBelowOne = 0.0
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32"
    compile: bool = False
    valid_every: Count = 500
    n_valid: Count = 100
    valid_metrics: tuple[str, ...] = ()
    n_metrics: Count = 16
    monitor: str = "valid_loss"
    patience: Natural = 0
    log_every: Count = 20
    save_every_min: Positive = 10.0
    n_calibrate: Count = 50
    workers: Natural | None = None
    prefetch: Count = 2
    threads: Count | None = None
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    devices: Count | Literal["auto"] = "auto"
    nodes: Count = 1
    strategy: str = "auto"
    tensorboard: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        self._check_metrics()

    def _check_metrics(self) -> None:
        if isinstance(self.valid_metrics, str) or not set(self.valid_metrics) <= set(METRICS):
            raise InputError(f"valid_metrics must be names of {', '.join(METRICS)}; got {self.valid_metrics!r}")
        further = tuple(name for name in self.valid_metrics if name not in OWN_METRICS)
        object.__setattr__(self, "valid_metrics", further)
        choices = [*OWN_METRICS, *further]
        if self.monitor not in choices:
            cure = ": name it in valid_metrics too" if self.monitor in METRICS else ""
            raise InputError(f"monitor must be {' or '.join(choices)}; got {self.monitor!r}{cure}")

    @property
    def higher_is_better(self) -> bool:
        """The direction of `monitor`."""
        known = OWN_METRICS.get(self.monitor)
        return METRICS[self.monitor].higher_is_better if known is None else known

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, the first being 0, before "plateau" lowers it.

        >>> options = Options(steps=100, lr=1.0, warm_up=10)
        >>> [round(options.lr_at(step), 3) for step in (0, 9, 10, 55, 99)]
        [0.1, 1.0, 1.0, 0.5, 0.0]
        """
        if step < self.warm_up:
            return self.lr * (step + 1) / self.warm_up
        if self.schedule == "cosine":
            part = min((step - self.warm_up) / max(self.steps - self.warm_up, 1), 1.0)
            return self.lr * (1 + math.cos(math.pi * part)) / 2
        if self.schedule == "decay" and step >= self.decay_from:
            return float(self.lr * self.lr_factor ** ((step - self.decay_from) // self.decay_every + 1))
        return self.lr

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Name the fields whose change would make another curve than that of a run begun with `other`."""
        names = [field.name for field in fields(self) if field.name not in FREE]
        return [name for name in names if name in other and _plain(getattr(self, name)) != _plain(other[name])]


# What may change when a run resumes: where it runs, when it ends, and how often it reports.
FREE = frozenset({
    "steps", "patience", "log_every", "save_every_min", "compile", "workers", "prefetch", "threads", "accelerator",
    "devices", "nodes", "strategy", "tensorboard",
})  # fmt: skip


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
