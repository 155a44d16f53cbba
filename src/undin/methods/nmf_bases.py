"""What NMF learned of a source, and the .npz file that keeps it: no pickle, settings as JSON, whole or not at all."""

import json
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import DTypeLike, NDArray

from undin.atomic import atomic_write
from undin.errors import InputError, WeightsError
from undin.methods.nmf_updates import Matrix, fit_gamma

FORMAT = "undin-nmf"
VERSION = 1
Config = TypeVar("Config")


class Bases(NamedTuple):
    """One source: V ~ W H, and the statistics of the rows of H where frames of V sum to one on average."""

    W: Matrix  # (n_freq, n_bases), columns summing to 1
    mean: NDArray[np.float32]  # (n_bases,) of h, for the exponential prior
    shape: NDArray[np.float32]  # (n_bases,) k of the gamma density
    scale: NDArray[np.float32]  # (n_bases,) θ of the gamma density


def describe(W: Matrix, H: Matrix) -> Bases:
    """Bases of V ~ W H: W and what the priors need of H."""
    H = H / H.sum(0, dtype=np.float64).mean()
    shape, scale = fit_gamma(H)
    return Bases(W, *(a.astype(np.float32) for a in (H.mean(1), shape, scale)))


def write_model(
    path: Path, bases: tuple[Bases, ...], config: Any, about: dict[str, Any], *, dtype: DTypeLike = np.float32
) -> None:
    """Write beside `path`, then rename.

    Args:
        path: the .npz file.
        bases: one entry per source.
        config: a frozen dataclass of settings.
        about: what else `read_model` shall give back; JSON values.
        dtype: of the stored arrays; float16 halves the file.

    Raises:
        InputError: the folder is not there, or the file cannot be written.
    """
    meta = {"format": FORMAT, "version": VERSION, "config": asdict(config), "n_sources": len(bases), **about}
    text = json.dumps(meta, default=lambda a: np.asarray(a).tolist())
    arrays = {f"{name}{i}": a.astype(dtype) for i, b in enumerate(bases) for name, a in b._asdict().items()}
    try:
        with atomic_write(path, "wb") as file:
            np.savez_compressed(file, meta=np.array(text), **arrays)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}: choose another place, or make room") from error


def read_model(path: Path, config_class: Callable[..., Config]) -> tuple[tuple[Bases, ...], Config, dict[str, Any]]:
    """Read what `write_model` wrote: the bases, the settings and the meta data.

    Raises:
        InputError: no such file.
        WeightsError: the file is damaged, newer than this version, or something else.
    """
    if not path.is_file():
        raise InputError(f"{path} is no file: give a model that NMF.save wrote")
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"]))
            if not isinstance(meta, dict) or meta.get("format") != FORMAT:
                raise ValueError(f'its format is not "{FORMAT}"')
            if meta["version"] > VERSION:
                raise WeightsError(
                    f"{path} has format version {meta['version']} and this undin reads up to {VERSION}: upgrade undin"
                )
            sources = range(meta["n_sources"])
            bases = tuple(_unit(*(file[f"{name}{i}"].astype(np.float32) for name in Bases._fields)) for i in sources)
            settings = meta["config"]
            _check(bases, settings)
            if isinstance(settings.get("window"), list) and settings["window"][0] == "kaiser":
                settings["window"] = tuple(settings["window"])  # JSON knows no tuples
            return bases, config_class(**settings), meta
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, BadZipFile, zlib.error) as error:
        why = "no arrays are in it" if "pickle" in str(error) else error
        raise WeightsError(
            f"{path} must be a model that NMF.save wrote, and it is damaged or something else ({why}): "
            "save it again, or fetch a fresh copy"
        ) from error


def _unit(W: Matrix, *rows: NDArray[np.float32]) -> Bases:
    """Bases whose columns sum to 1, which storage in float16 had undone."""
    sums = W.sum(0)
    return Bases(W if np.allclose(sums, 1, rtol=1e-5) else W / sums, *rows)


def _check(bases: tuple[Bases, ...], config: dict[str, Any]) -> None:
    n_freq = config["n_fft"] // 2 + 1
    for W, *rows in bases:
        if W.ndim != 2 or W.shape[0] != n_freq or any(a.shape != W.shape[1:] for a in rows):
            raise ValueError(f"its arrays do not fit n_fft = {config['n_fft']}")
        if not all(np.isfinite(a).all() and (a >= 0).all() for a in (W, *rows)):
            raise ValueError("its arrays hold negative values or NaN")
