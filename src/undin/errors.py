"""The four errors: each message names the value, the rule and the cure."""

import importlib
import importlib.util
import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType


class UndinError(Exception):
    """Base class of all errors of undin."""


class InputError(UndinError, ValueError):
    """An invalid value, file or setting."""


class WeightsError(UndinError, RuntimeError):
    """A weights file is damaged, newer than this version, or not usable here."""


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
        raise _missing(module.partition(".")[0], extra) from error


def require_files(package: str, *, extra: str) -> Path:
    """Find the folder of an optional package without importing it, or say which extra brings it.

    Args:
        package: its name.
        extra: the extra of ``pip install undin[extra]`` that installs it.

    Raises:
        MissingExtraError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise _missing(package, extra)
    return Path(spec.origin).parent


def _missing(package: str, extra: str) -> MissingExtraError:
    return MissingExtraError(f'{package} is required but not installed: {_pip()} install "undin[{extra}]"')


def _pip() -> str:
    """The pip of this undin's environment: by its path where the shell's is another."""
    active = Path(shutil.which("pip") or "").parent == Path(sys.executable).parent
    return "pip" if active else f"{shlex.quote(sys.executable)} -m pip"
