"""Weights on their way from training to a graph: tensors and plain values in a file, no code, so safe to open."""

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import torch
from torch import nn

from undin.atomic import atomic_write
from undin.errors import InputError, WeightsError
from undin.methods import LEARNED
from undin.methods.base import make_config
from undin.training.nets import NETS, Network


class Loaded(NamedTuple):
    """Contents of a weights file."""

    name: str  # key of NETS
    config: Any
    net: Network  # on the CPU, in evaluation mode


def save_weights(path: Path, name: str, config: Any, net: nn.Module) -> Path:
    """Write weights to a temporary file and rename it, so the file is never incomplete.

    Args:
        path: the file.
        name: key of `undin.training.nets.NETS`.
        config: the network's frozen dataclass.
        net: the network.

    Raises:
        InputError: the file cannot be written.
    """
    weights = {key: value.detach().cpu() for key, value in net.state_dict().items()}
    try:
        with atomic_write(path, "wb") as file:
            torch.save({"net": name, "config": asdict(config), "weights": weights}, file)
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError where the disk is full
        raise InputError(f"{path} cannot be written ({error}): choose another folder, or free some space") from error
    return path


def load_weights(path: Path) -> Loaded:
    """Read what `save_weights` wrote, or any torch file with the same three keys.

    Raises:
        InputError: no such file.
        WeightsError: it is damaged or something else, its network is unknown, or its weights do not fit its config.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a checkpoint of `undin train`")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        name, settings, weights = held["net"], held["config"], held["weights"]
    except pickle.UnpicklingError as error:  # its text is torch's advice to programmers
        raise _not_ours(path, "not a file of tensors") from error
    except (RuntimeError, EOFError, OSError, BadZipFile) as error:
        raise _not_ours(path, f"{str(error).splitlines()[0][:100]}" if str(error) else "empty") from error
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise _not_ours(path, "net, config and weights are not in it") from error
    if name not in NETS or name not in LEARNED:
        raise WeightsError(
            f"{path} holds the network {name!r}, unknown to this version, which has {', '.join(NETS)}: upgrade undin"
        )
    try:
        config = make_config(LEARNED[name].Config, settings)
        net = NETS[name](config)
        net.load_state_dict(weights)
    except (InputError, RuntimeError, TypeError, AttributeError) as error:
        what = " ".join(str(error).split())[:300]
        raise WeightsError(f"{path} does not fit the network {name} of this undin ({what}): train it again") from error
    return Loaded(name, config, net.eval())


def _not_ours(path: Path, what: str) -> WeightsError:
    return WeightsError(
        f"{path} is damaged or is not a checkpoint of `undin train` ({what}): use an older one, or train again"
    )
