"""Train a network: `fit` runs the complete training and resumes an interrupted one."""

import contextlib
import dataclasses
import json
import platform
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger

import undin
from undin import provenance
from undin.atomic import atomic_write
from undin.errors import InputError, WeightsError
from undin.training import processes, snapshot
from undin.training.batch import Batch
from undin.training.callback import Learner, Plan, RunCallback
from undin.training.checkpoint import load_weights, save_weights
from undin.training.data import ExampleSource, batches
from undin.training.logs import StepProgress
from undin.training.nets import NETS, Network
from undin.training.options import Options
from undin.training.snapshot import State, full_disk_told, plain
from undin.training.validation import check_metrics

MINUTE = 60.0
FRAME = ("sr", "n_fft", "hop_length", "window")  # of a config: settings that the weights depend on


@dataclass(frozen=True)
class Fitted:
    """Result of a call of `fit`.

    Attributes:
        best: weights that did best at validation; there once there was one.
        last: the checkpoint that the next call resumes from.
        finished: True if training is complete; False if the time limit was reached.
        step: updates made.
        score: the best `options.monitor`.
        hours: of audio that were learned from.
        minutes: that it took, over all calls.
    """

    best: Path
    last: Path
    finished: bool
    step: int
    score: float | None
    hours: float
    minutes: float


def fit(
    net: str,
    config: Any,
    options: Options,
    train: ExampleSource,
    valid: ExampleSource,
    folder: Path,
    *,
    max_minutes: float | None = None,
    start_from: Path | None = None,
    progress: StepProgress | None = None,
) -> Fitted:
    """Train a network, or resume training: repeat the call to continue.

    An interrupted run, even by kill -9, resumes from its last checkpoint, and its curve is that of an
    unbroken run: to the bit on a processor with one thread. A request to end (Ctrl-C, SIGTERM) waits for the end of
    the step, with several processes for the next line of the log, and for a checkpoint; then it does what it always
    does.

    The folder holds run.json (all settings, versions), log.csv, curve.png, tensorboard/, last.ckpt and best.pt.

    Args:
        net: key of `undin.training.nets.NETS`.
        config: the network's config.
        options: how to train it.
        train: examples to learn from, without end.
        valid: examples to choose by, of which the first n_valid are taken.
        folder: of the run; of all nodes, where there are several.
        max_minutes: stop before these are over, checkpoint included; one step is always made.
        start_from: weights to begin with instead of random ones, best.pt or last.ckpt of another run.
        progress: called after each step with (steps done, of all, last line of log.csv); a bar on the terminal when
            None.

    Returns:
        how far it got.

    Raises:
        InputError: a setting breaks its rule, or the folder contains a run with other settings.
        WeightsError: last.ckpt or start_from is damaged.
        MissingExtraError: one of valid_metrics needs a package that is not installed.
        UndinError: the loss became infinite or NaN, or the disk is full; the last checkpoint is kept.
    """
    deadline = None if max_minutes is None else monotonic() + MINUTE * max_minutes
    plan = Plan(net, config, options, train, valid, Path(folder), deadline, progress)
    _check_plan(plan)
    with full_disk_told(plan.folder), processes.quiet():
        plan.folder.mkdir(parents=True, exist_ok=True)
        past = snapshot.read(plan.last) if plan.last.exists() else None
        if past:
            snapshot.check_same(past, net, config, plan.last)
        _note(plan, start_from, new=past is None)
        trained = past is None or not _is_over(past["state"], options)
        if trained:
            _train(plan, past, start_from)
        return _fitted(plan, trained=trained)


def _check_plan(plan: Plan) -> None:
    if plan.net not in NETS:
        raise InputError(f"net must be one of {', '.join(NETS)}; got {plan.net!r}")
    for name, examples in (("train", plan.train), ("valid", plan.valid)):
        if examples.sr != plan.config.sr:
            raise InputError(
                f"{name} has {examples.sr} Hz and {plan.net} takes {plan.config.sr} Hz: resample one, or set sr"
            )
    check_metrics(plan.options, plan.config.sr)


def _fitted(plan: Plan, *, trained: bool) -> Fitted:
    content = snapshot.read(plan.last)
    state: State = content["state"]
    finished = _is_over(state, plan.options)
    if finished and not state.finished and processes.is_first():
        finished = _finish(plan, content, trained=trained)
    return Fitted(plan.best, plan.last, finished, state.step, state.best, state.audio_s / 3600, state.minutes)


def _train(plan: Plan, past: dict[str, Any] | None, start_from: Path | None) -> None:
    """One slice: from the current step to the next stop."""
    options, spawned = plan.options, processes.spawns(plan.options)
    cores = max(processes.n_cores() // processes.n_processes(options), 1)
    workers = min(max(cores // 2, 1), 8) if options.workers is None else options.workers
    n_threads = options.threads or cores
    with processes.arithmetic(n_threads), contextlib.ExitStack() as stack:
        network = _network(plan, past, start_from, workers)
        if spawned and plan.progress:
            stack.enter_context(processes.followed(plan.log, options.steps, plan.progress))
        callback = RunCallback(dataclasses.replace(plan, progress=None) if spawned else plan, past, n_threads)
        trainer = L.Trainer(
            accelerator=options.accelerator,
            devices=processes.n_processes(options),
            num_nodes=options.nodes,
            strategy=processes.strategy(options),
            precision="32-true" if options.precision == "32" else options.precision,
            max_epochs=1,
            gradient_clip_val=options.clip or None,
            gradient_clip_algorithm=options.clip_by,
            logger=_logger(plan, callback.state.step) if options.tensorboard else False,
            callbacks=[callback],
            log_every_n_steps=1,
            default_root_dir=plan.folder,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        if spawned:
            stack.enter_context(processes.passed_on(trainer, callback))
        stack.enter_context(processes.told_plainly())
        trainer.fit(Learner(network, callback.plan, callback.state.step, workers))
    if callback.caught is not None:
        signal.raise_signal(callback.caught)  # everything is saved: now the signal takes its default action


def _logger(plan: Plan, step: int) -> TensorBoardLogger:
    """Events for TensorBoard; those after the checkpoint are struck out."""
    return TensorBoardLogger(plan.folder, name="tensorboard", version="", purge_step=step + 1)


def _network(plan: Plan, past: dict[str, Any] | None, start_from: Path | None, workers: int) -> Network:
    """The network as the run left it, as another run left it, or new."""
    torch.manual_seed(plan.options.seed)
    network = NETS[plan.net](plan.config)
    if past:
        network.load_state_dict(past["weights"])
    elif start_from is not None:
        _take_over(network, plan, Path(start_from))
    else:
        network.calibrate(_some_batches(plan, workers))
    return network.train()


def _take_over(network: Network, plan: Plan, path: Path) -> None:
    """Copy the weights of another run.

    Parameters that only training uses or that are optional may be missing from either: those of this run start fresh.
    Networks with `shared` parts give them to one another.
    """
    if path.suffix == ".onnx":
        raise InputError(
            f"start_from (--from) must be best.pt or last.ckpt of a training; got {path}: "
            "an exported graph cannot be trained"
        )
    loaded = load_weights(path)
    theirs, ours = plain(loaded.config), plain(plan.config)
    differing = [name for name in ours if theirs.get(name) != ours[name]]
    differences = ", ".join(f"{name} = {theirs.get(name)!r} there and {ours[name]!r} here" for name in differing)
    if (grown := network.grow(loaded.net)) is not None and not set(differing) & set(FRAME):
        network.load_state_dict(grown)
        return
    shared, optional = network.shared, network.training_only + network.optional
    if loaded.name != plan.net and not (shared and shared == loaded.net.shared):
        raise InputError(f"start_from {path} has the network {loaded.name!r}; this run trains {plan.net!r}")
    if set(differing) & set(FRAME) or loaded.net.lookahead != network.lookahead:
        raise InputError(f"start_from {path} has {differences}: frames and look-ahead must be the same")
    new, found = network.state_dict(), loaded.net.state_dict()
    if loaded.name == plan.net:
        found = {name: value for name, value in found.items() if name in new or not name.startswith(optional)}
        fresh = {name: value for name, value in new.items() if name not in found and name.startswith(optional)}
        found |= fresh
        if fresh and processes.is_first():
            parts = ", ".join(sorted({name.split(".")[0] for name in fresh}))
            notice = f"undin: {path} has no {parts}: these start from random weights, all others are loaded"
            print(notice, file=sys.stderr)
    else:  # bins above that, and additional layers of the source, are ignored
        found = {name: found.get(name, torch.empty(0)) if name.startswith(shared) else new[name] for name in new}
    try:
        network.load_state_dict(found)
    except RuntimeError as error:
        raise InputError(f"start_from {path} has another size: {differences}: use its settings") from error


def _some_batches(plan: Plan, workers: int) -> Iterator[Batch]:
    """Those of the first steps, over all processes."""
    world = processes.n_processes(plan.options) * plan.options.nodes
    return batches(plan.train, plan.options.n_calibrate, plan.options.batch * world, workers)


def _is_over(state: State, options: Options) -> bool:
    return state.step >= options.steps or bool(options.patience and state.stale >= options.patience)


def _finish(plan: Plan, content: dict[str, Any], *, trained: bool) -> bool:
    """Run the network's final step on its best weights; return whether time sufficed."""
    state: State = content["state"]
    best = load_weights(plan.best)
    if type(best.net).finish is not Network.finish:
        needed_s = MINUTE * state.minutes / state.step * plan.options.n_calibrate
        if trained and plan.deadline is not None and monotonic() + needed_s > plan.deadline:
            return False
        with torch.no_grad():
            best.net.finish(_some_batches(plan, plan.options.workers or 0))
        save_weights(plan.best, plan.net, plan.config, best.net)
    state.finished = True
    snapshot.write(plan.last, {**content, "state": asdict(state)})
    return True


def _note(plan: Plan, start_from: Path | None, *, new: bool) -> None:
    """Write run.json, or check the run against the existing one."""
    path, settings = plan.folder / "run.json", {"net": plan.net, "config": plain(plan.config)}
    settings |= {"train": _about(plan.train), "valid": _about(plan.valid)}
    if not new and path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            changed = [f"options.{name}" for name in plan.options.differences(before["options"])]
            changed += [name for name in ("train", "valid") if before[name] != settings[name]]
        except (ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{path} is damaged: remove it, and the run will resume from {plan.last}") from error
        if changed:
            raise InputError(
                f"{plan.folder} contains a run with other settings ({', '.join(changed)}): choose another folder, "
                f"or the settings in {path}"
            )
        settings["start_from"] = before.get("start_from")
    else:
        settings["start_from"] = None if start_from is None else str(start_from)
    versions = provenance.versions(("torch", "lightning", "numpy"))
    settings |= {"options": plain(plan.options), "versions": {"undin": undin.__version__, **versions}}
    settings |= {"commit": provenance.commit(), "python": platform.python_version()}
    if processes.is_first():
        with atomic_write(path) as file:
            file.write(json.dumps(settings, indent=1) + "\n")


def _about(examples: ExampleSource) -> dict[str, Any]:
    """Settings that determine the examples, if they state them."""
    names = ("settings", "augment", "seed", "sr", "n_samples")
    return {name: plain(getattr(examples, name)) for name in names if hasattr(examples, name)}
