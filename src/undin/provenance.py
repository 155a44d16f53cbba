"""Where a result comes from: the commit, versions and machine it was made with, and digests of files and methods."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np


def commit() -> str | None:
    """The commit of undin's own sources, with a plus if they were changed since; None outside git."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        if subprocess.run([*git, "ls-files", "--error-unmatch", "__init__.py"], capture_output=True).returncode:
            return None
        ask = [*git, "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
        return subprocess.run(ask, capture_output=True, text=True).stdout.strip() or None
    except OSError:
        return None


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed, by name."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """The operating system, the processor's name and the number of cores."""
    return {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()}


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def sha256(path: Path) -> str:
    """Digest of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fingerprint(method: Any) -> dict[str, Any]:
    """Everything that determines a method's output: its id, its config, a digest of its weights and its version."""
    digest = hashlib.sha256()
    for name, value in sorted(vars(method).items()):
        digest.update(name.encode())
        for part in _learned(value):
            digest.update(part)
    about = {"method": method.id, "config": asdict(method.config), "weights": digest.hexdigest()[:16]}
    return about | ({"weights_version": method.card.version} if method.card.version else {})


def _learned(value: Any) -> Iterator[bytes]:
    """The arrays and texts in an attribute, however nested."""
    if isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    elif isinstance(value, (bytes, str, int, float)):
        yield repr(value).encode()
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from _learned(each)
    elif isinstance(value, dict):
        for key, each in sorted(value.items()):
            yield from _learned([key, each])
