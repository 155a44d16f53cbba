"""The four errors: each message names the value, the rule and the cure."""

import importlib
import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType


class UndinError(Exception):
    """Anything undin refuses to do; catch this to catch all of its errors."""


class InputError(UndinError, ValueError):
    """A value, file or setting from the caller breaks a rule."""


class WeightsError(UndinError, RuntimeError):
    """A weights file is damaged, newer than this version, or made for something else."""


class MissingExtraError(UndinError, ImportError):
    """An optional package is needed and is not installed."""


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Args:
        module: dotted name, e.g. ``"matplotlib.pyplot"``.
        extra: the extra of ``pip install undin[extra]`` that installs it.

    Raises:
        MissingExtraError: the module cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        cure = f'{_pip()} install "undin[{extra}]"'
        raise MissingExtraError(f"{package} is needed here and not installed: {cure}") from error


def _pip() -> str:
    """The pip that installs beside this undin: by its path where the shell's is another."""
    active = Path(shutil.which("pip") or "").parent == Path(sys.executable).parent
    return "pip" if active else f"{shlex.quote(sys.executable)} -m pip"
