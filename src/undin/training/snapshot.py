"""Everything a run needs to resume exactly, in one file: last.ckpt.

It is loadable with weights_only=True and holds what `undin.training.checkpoint` reads ("net", "config", "weights"), so
it can be exported or trained further like any weights.
"""

import dataclasses
import errno
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from undin.atomic import atomic_write
from undin.errors import InputError, UndinError, WeightsError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass
class State:
    """The state of a run, except for its weights.

    Attributes:
        step: updates made.
        audio_s: seconds of audio they saw, over all processes.
        minutes: that it took, validations included.
        best: the best `monitor` so far.
        best_step: when it was reached.
        stale: validations since.
        lr_factor: what "plateau" has multiplied the learning rate by.
        lr_stale: validations since the best or since that changed.
        sums: of each part of the loss since the last line of log.csv.
        count: of the steps in them.
        valid_s: duration of the last validation.
        finished: whether training is complete.
    """

    step: int = 0
    audio_s: float = 0.0
    minutes: float = 0.0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    lr_factor: float = 1.0
    lr_stale: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0
    valid_s: float = 0.0
    finished: bool = False


def plain(value: Any) -> Any:
    """Settings as JSON knows them: dataclasses as objects, tuples as lists, paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    return json.loads(json.dumps(value, default=str))


def write(path: Path, content: dict[str, Any]) -> None:
    """Replace the last snapshot, which stays intact until the new one is complete."""
    data = io.BytesIO()
    torch.save(content, data)  # in memory first: a full disk then is a plain OSError
    with atomic_write(path, "wb") as file:
        file.write(data.getbuffer())
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> dict[str, Any]:
    """Read a snapshot.

    Raises:
        WeightsError: it is damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        content: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return {**content, "state": State(**content["state"])}
    except Exception as error:  # whatever torch, zip or pickle make of damaged bytes
        raise WeightsError(
            f"{path} is damaged: restore a copy, or move it away and start again, optionally from "
            f"{path.with_name('best.pt')} with --from (start_from)"
        ) from error


def check_same(past: dict[str, Any], net: str, config: Any, path: Path) -> None:
    """Refuse weights of another network.

    Args:
        past: the snapshot as read.
        net, config: of the run.
        path: of the snapshot, for the message.

    Raises:
        InputError: the network or its config differ; the message names what.
    """
    cure = "use another folder, or the settings of the run in it"
    if past.get("net") != net:
        raise InputError(f"{path} has the network {past.get('net')!r}, not {net!r}: {cure}")
    theirs, ours = plain(past["config"]), plain(config)
    for name in sorted({*theirs, *ours}):
        if theirs.get(name) != ours.get(name):
            raise InputError(f"{path} has {name} = {theirs.get(name)!r}, not {ours.get(name)!r}: {cure}")


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Say a full disk in one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UndinError(
            f"{error.filename or folder}: {error.strerror}: free some space and rerun; "
            f"the last checkpoint in {folder} is intact and the run will resume from it"
        ) from error
