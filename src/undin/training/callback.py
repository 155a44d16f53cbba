"""A run's work inside Lightning's loop: schedules, validations, checkpoints, and when to stop.

Lightning moves tensors, spreads processes, clips and scales gradients. What makes a run repeatable is here: the random
numbers of a step follow from the seed and the step, and `State` with the weights is all there is to remember.
"""

import math
import signal
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

import undin
from undin.errors import UndinError
from undin.training import snapshot
from undin.training.average import MeanWeights
from undin.training.checkpoint import save_weights
from undin.training.data import ExampleSource, Loader, Pair, to_batch
from undin.training.logs import Bar, Log, StepProgress, draw_curve, gains, shown
from undin.training.muon import Muon
from undin.training.nets import Network
from undin.training.options import Options
from undin.training.processes import END_SIGNALS, silence
from undin.training.snapshot import State, full_disk_told
from undin.training.validation import Validation, columns

AGAIN_S = 1.0  # a signal sooner after the first is the same request, from the terminal and from the parent


@dataclass(frozen=True)
class Plan:
    """Definition of a run; see `undin.training.fit.fit`.

    Attributes:
        deadline: on the clock of time.monotonic, by when to have stopped; None for never.
    """

    net: str
    config: Any
    options: Options
    train: ExampleSource
    valid: ExampleSource
    folder: Path
    deadline: float | None
    progress: StepProgress | None

    @property
    def last(self) -> Path:
        """Checkpoint the run resumes from."""
        return self.folder / "last.ckpt"

    @property
    def log(self) -> Path:
        """Losses and scores."""
        return self.folder / "log.csv"

    @property
    def best(self) -> Path:
        """The weights that did best at validation."""
        return self.folder / "best.pt"


class Learner(L.LightningModule):
    """What Lightning asks of a network: its loss, its optimizer, its data from a step on."""

    def __init__(self, net: Network, plan: Plan, step: int, workers: int) -> None:
        super().__init__()
        self.net, self.plan, self.step, self.workers = net, plan, step, workers

    def training_step(self, pair: Pair, _: int) -> dict[str, Tensor]:
        """The loss and its parts."""
        losses: dict[str, Tensor] = self.net.loss(to_batch(pair, self.plan.train.sr))
        return losses

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Weight decay is for matrices: a bias or a scale brought to 0 makes no network simpler."""
        o, parameters = self.plan.options, [p for p in self.net.parameters() if p.requires_grad]
        if o.optimizer == "muon":
            return Muon(
                self.net, o.lr, o.weight_decay, torch.bfloat16 if o.precision == "bf16-mixed" else torch.float32
            )
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": o.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        if o.optimizer == "sgd":
            return torch.optim.SGD(groups, lr=o.lr, momentum=o.momentum)
        return (torch.optim.AdamW if o.optimizer == "adamw" else torch.optim.Adam)(groups, lr=o.lr)

    def train_dataloader(self) -> Loader:
        """Batches from the current step on."""
        o = self.plan.options
        return Loader(
            self.plan.train,
            batch=o.batch,
            start=self.step,
            stop=o.steps,
            rank=self.trainer.global_rank,
            world=self.trainer.world_size,
            workers=self.workers,
            prefetch=o.prefetch,
            pin=self.trainer.strategy.root_device.type == "cuda",
        )


class RunCallback(Callback):
    """Takes a run from its current step to its next stop.

    Args:
        plan: of the run.
        past: the snapshot to resume from; None starts a new run.
        threads: of each process's arithmetic.
    """

    def __init__(self, plan: Plan, past: dict[str, Any] | None, threads: int) -> None:
        self.plan, self.options, self.past, self.threads = plan, plan.options, past, threads
        self.state: State = replace(past["state"]) if past else State()
        self.state.sums = dict(self.state.sums)
        self.state.finished = False
        self.caught: int | None = None  # the signal that asks for an end
        self.losses: list[dict[str, Tensor]] = []  # of the steps since they were last counted
        self.row: dict[str, float] = {}  # last of log.csv
        self.step_s = self.save_s = 0.0

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        silence()  # this is the start of a process of our own

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """In the process that trains, before anything else there."""
        torch.set_num_threads(self.threads)
        if self.options.compile:
            pl_module.net.compile()  # type: ignore[union-attr]

    def on_train_start(self, trainer: L.Trainer, learner: L.LightningModule) -> None:
        """Restore the snapshot, in every process."""
        self.net: Network = learner.net  # type: ignore[assignment]
        self.device, self.world = trainer.strategy.root_device, trainer.world_size
        self.validation = Validation(self.plan.valid, self.options)
        if self.past:
            trainer.optimizers[0].load_state_dict(self.past["optimizer"])
            if self.past["scaler"]:
                trainer.precision_plugin.load_state_dict(self.past["scaler"])
        self.mean = MeanWeights(self.net, self.options.ema, self.past["ema"] if self.past else None)
        self.past = None
        if trainer.is_global_zero:
            self.log = Log(self.plan.log, self.state.step)
            self._bar = Bar(self.plan.net, self.state.step, self.options.steps) if self._wants_bar() else None
        self._listen()
        self.saved = self.resumed = self.logged_at = time.monotonic()
        self.logged_audio_s, self.idle_s = self.state.audio_s, 0.0
        self.minutes = self.state.minutes

    def on_train_batch_start(self, trainer: L.Trainer, learner: L.LightningModule, batch: Any, batch_idx: int) -> None:
        """Set the learning rate and the random state of a step."""
        step = self.state.step
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.options.lr_at(step) * self.state.lr_factor
        numbers = np.random.SeedSequence([self.options.seed, step, trainer.global_rank])
        torch.manual_seed(int(numbers.generate_state(1, np.uint64)[0] >> np.uint64(1)))
        self.step_began = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, learner: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the step; log, validate, save and stop where it is time to."""
        state, now = self.state, time.monotonic()
        state.step += 1
        state.audio_s += len(batch["noisy"]) * self.world * self.plan.train.n_samples / self.plan.train.sr
        self.losses.append({name: x.detach() for name, x in outputs.items()})
        self.mean.follow(state.step)
        self.step_s = max(now - self.step_began, 0.9 * self.step_s)
        with full_disk_told(self.plan.folder):
            self._pause(trainer, now)
        if trainer.is_global_zero:
            for show in (self.plan.progress, self._bar):
                if show:
                    show(state.step, self.options.steps, self.row)

    def _pause(self, trainer: L.Trainer, now: float) -> None:
        """Between two steps: log, validate and save when due."""
        log_due, due = self.state.step % self.options.log_every == 0, self._due(self.state.step)
        if self.world > 1 and not (log_due or due):
            return  # processes would have to agree
        save, stop = self._wanted(trainer, now)
        if log_due or due or save or stop:
            self._count(trainer)
        began = time.monotonic()  # what follows is not training
        ended = due and self._validate(trainer)
        if log_due or due:
            self._tell(trainer, began)
        if due or save or stop:
            self._save(trainer)
        self.idle_s += time.monotonic() - began
        trainer.should_stop = stop or ended

    def on_train_end(self, trainer: L.Trainer, learner: L.LightningModule) -> None:
        """Leave."""
        self._leave(trainer)

    def on_exception(self, trainer: L.Trainer, learner: L.LightningModule, exception: BaseException) -> None:
        """Leave in a hurry."""
        self._leave(trainer)

    def _wants_bar(self) -> bool:
        return self.plan.progress is None and shown()

    def _due(self, step: int) -> bool:
        return step % self.options.valid_every == 0 or step == self.options.steps

    def _listen(self) -> None:
        """Let a request to end wait for the end of the step; a second one does not."""
        self._handlers = {}
        if threading.current_thread() is threading.main_thread():
            for number in END_SIGNALS:
                self._handlers[number] = signal.getsignal(number)
                if self._handlers[number] is not signal.SIG_IGN:  # as under nohup
                    signal.signal(number, self._hear)

    def _hear(self, number: int, frame: Any) -> None:
        if self.caught is None:
            self.caught, self.caught_at = number, time.monotonic()
        elif time.monotonic() > self.caught_at + AGAIN_S:
            raise KeyboardInterrupt

    def _leave(self, trainer: L.Trainer) -> None:
        for number, handler in getattr(self, "_handlers", {}).items():
            if handler is not None:  # None: it was not set from Python
                signal.signal(number, handler)
        if bar := getattr(self, "_bar", None):
            bar.stop()

    def _wanted(self, trainer: L.Trainer, now: float) -> tuple[bool, bool]:
        """Whether to save, and whether to stop, as all processes agree."""
        save = now - self.saved > 60 * self.options.save_every_min
        stop = self.caught is not None or self._time_is_up(now)
        if self.world > 1:
            agree = trainer.strategy.reduce_boolean_decision
            save, stop = agree(save, all=False), agree(stop, all=False)
        return save, stop

    def _time_is_up(self, now: float) -> bool:
        """Whether the next steps until we ask again, validation among them, and a checkpoint would end too late."""
        if self.plan.deadline is None:
            return False
        n = 1 if self.world == 1 else self.options.log_every
        step = self.state.step
        due = any(map(self._due, range(step, step + n + 1)))  # this step's own validation is still to come, too
        valid_s = self.state.valid_s or self.step_s * self.options.n_valid / self.options.batch
        return now + 1.2 * (n * self.step_s + due * valid_s + self.save_s) > self.plan.deadline

    def _count(self, trainer: L.Trainer) -> None:
        """Add up the losses since the last time, and raise an error if they are not finite."""
        if not self.losses:
            return
        names = list(self.losses[0])
        table = torch.stack([torch.stack([losses[name].float() for name in names]) for losses in self.losses])
        if self.world > 1:
            table = trainer.strategy.reduce(table, reduce_op="mean")
        rows = table.tolist()  # (steps, parts)
        for k, row in enumerate(rows):
            if not math.isfinite(loss := row[names.index("loss")]):
                self._refuse(f"the loss became {loss} at step {self.state.step - len(rows) + k + 1}")
            for name, value in zip(names, row, strict=True):
                self.state.sums[name] = self.state.sums.get(name, 0.0) + value
            self.state.count += 1
        self.losses.clear()

    def _refuse(self, what: str) -> None:
        kept = "no checkpoint was written yet"
        if self.plan.last.exists():
            kept = f"{self.plan.last} holds step {snapshot.read(self.plan.last)['state'].step}, from before"
        raise UndinError(f"{what}: try a lower lr, a longer warm_up or a smaller clip; {kept}")

    def _validate(self, trainer: L.Trainer) -> bool:
        """Validate, keep the weights if they are the best so far, and return whether patience has run out."""
        state, options, began = self.state, self.options, time.monotonic()
        with self.mean.in_place():
            with torch.no_grad(), trainer.precision_plugin.forward_context():
                sums = self.validation.sums(self.net, self.device, trainer.global_rank, self.world)
            scores = self._mean(trainer, sums)
            if not math.isfinite(scores["valid_loss"]):
                self._refuse(f"the loss at validation became {scores['valid_loss']} at step {state.step}")
            score = scores.get(options.monitor, math.nan)
            sign = 1 if options.higher_is_better else -1
            if state.best is None or sign * score > sign * state.best:  # never where it is NaN, but for the first
                state.best, state.best_step = None if math.isnan(score) else score, state.step
                state.stale = state.lr_stale = 0
                if trainer.is_global_zero:
                    save_weights(self.plan.best, self.plan.net, self.plan.config, self.net)
            else:
                state.stale += 1
                state.lr_stale += 1
        if options.schedule == "plateau" and state.lr_stale > options.lr_patience:
            state.lr_factor, state.lr_stale = state.lr_factor * options.lr_factor, 0
        self.scores = scores
        state.valid_s = time.monotonic() - began
        return bool(options.patience and state.stale >= options.patience)

    def _mean(self, trainer: L.Trainer, sums: dict[str, tuple[float, int]]) -> dict[str, float]:
        if self.world > 1:
            names = columns(list(self.state.sums), self.options)
            table = torch.tensor([sums.get(name, (0.0, 0)) for name in names], dtype=torch.float64, device=self.device)
            totals = trainer.strategy.reduce(table, reduce_op="sum").tolist()
            sums = {name: (total, int(n)) for name, (total, n) in zip(names, totals, strict=True)}
        return {name: total / n for name, (total, n) in sums.items() if n}

    def _tell(self, trainer: L.Trainer, now: float) -> None:
        """Write a line of log.csv; draw the curve where it has a validation."""
        state = self.state
        state.minutes = self.minutes + (time.monotonic() - self.resumed) / 60
        row = {"step": state.step, "hours": state.audio_s / 3600}
        row |= {f"train_{name}": total / state.count for name, total in state.sums.items()}
        row |= self.__dict__.pop("scores", {})
        row["lr"] = self.options.lr_at(state.step - 1) * state.lr_factor
        elapsed = max(now - self.logged_at - self.idle_s, 1e-9)
        row |= {"audio_s_per_s": (state.audio_s - self.logged_audio_s) / elapsed, "minutes": state.minutes}
        self.logged_at, self.logged_audio_s, self.idle_s = now, state.audio_s, 0.0
        parts = list(state.sums)
        state.sums, state.count, self.row = {}, 0, row
        if trainer.is_global_zero:
            self.log.add(row, columns(parts, self.options))
            if trainer.logger:
                facts = {name: value for name, value in row.items() if name != "step"} | gains(row)
                trainer.logger.log_metrics(facts, step=state.step)
            if "valid_loss" in row:
                draw_curve(self.log.path, self.plan.folder / "curve.png")

    def _save(self, trainer: L.Trainer) -> None:
        """Write last.ckpt, from the first process; not with weights that are not finite."""
        began, weights = time.monotonic(), self.net.state_dict()
        if not all(bool(x.isfinite().all()) for x in weights.values() if x.is_floating_point()):
            self._refuse(f"weights became infinite or NaN by step {self.state.step}")
        self.state.minutes = self.minutes + (began - self.resumed) / 60
        if trainer.is_global_zero:
            content = {"net": self.plan.net, "config": snapshot.plain(self.plan.config), "weights": weights}
            content |= {"optimizer": trainer.optimizers[0].state_dict(), "ema": self.mean.tensors}
            content |= {"scaler": trainer.precision_plugin.state_dict(), "state": asdict(self.state)}
            snapshot.write(self.plan.last, {**content, "undin": undin.__version__})
        trainer.strategy.barrier()
        self.saved = time.monotonic()
        self.save_s = self.saved - began
