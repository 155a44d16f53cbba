"""What NMF learned of a source, and the .npz file that keeps it: no pickle, settings as JSON, whole or not at all.

Nothing in a file is trusted: no array is read beyond `MOST_BYTES` or made larger than its data, and arrays and settings
must match the checksum in the settings.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.typing import DTypeLike, NDArray

from undin.atomic import atomic_write
from undin.errors import InputError, WeightsError
from undin.methods.base import make_config
from undin.methods.nmf_updates import Matrix, fit_gamma

FORMAT = "undin-nmf"
VERSION = 2  # of the format; 1 has no checksum
MOST_BYTES, MOST_SOURCES, LARGEST, ENCRYPTED = 2**26, 8, 1e6, 1
Config = TypeVar("Config")
DAMAGE: tuple[type[Exception], ...] = (ValueError, LookupError, TypeError, AttributeError, OSError, EOFError)
DAMAGE += (NotImplementedError, RecursionError, MemoryError, OverflowError, BadZipFile, zlib.error)
READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Bases(NamedTuple):
    """One source: V ~ W H, and the statistics of the rows of H where frames of V sum to one on average."""

    W: Matrix  # (n_freq, n_bases), columns summing to 1
    mean: NDArray[np.float32]  # (n_bases,) of h, for the exponential prior
    shape: NDArray[np.float32]  # (n_bases,) k of the gamma density
    scale: NDArray[np.float32]  # (n_bases,) θ of the gamma density


def describe(W: Matrix, H: Matrix) -> Bases:
    """Bases of V ~ W H: W and the statistics of H that the priors need."""
    H = H / H.sum(0, dtype=np.float64).mean()
    shape, scale = fit_gamma(H)
    return Bases(W, *(a.astype(np.float32) for a in (H.mean(1), shape, scale)))


def write_model(
    path: Path, bases: tuple[Bases, ...], config: Any, about: dict[str, Any], *, dtype: DTypeLike = np.float32
) -> None:
    """Write to a temporary file, then rename.

    Args:
        path: the .npz file.
        bases: one entry per source.
        config: a frozen dataclass of settings.
        about: what else `read_model` shall give back; JSON values.
        dtype: of the stored arrays; float16 halves the file.

    Raises:
        InputError: the folder is not there, or the file cannot be written.
    """
    arrays = {f"{name}{i}": a.astype(dtype) for i, b in enumerate(bases) for name, a in b._asdict().items()}
    meta = {"format": FORMAT, "version": VERSION, "config": asdict(config), "n_sources": len(bases), **about}
    meta = json.loads(json.dumps(meta, default=lambda a: np.asarray(a).tolist()))
    text = json.dumps({**meta, "checksum": _checksum(meta, arrays)})
    try:
        with atomic_write(path, "wb") as file:
            np.savez_compressed(file, meta=np.array(text), **arrays)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}: choose another folder, or free some space"
        ) from error


def read_model(path: Path, config_class: type[Config]) -> tuple[tuple[Bases, ...], Config, dict[str, Any]]:
    """Read what `write_model` wrote: the bases, the settings and the meta data.

    Args:
        path: the .npz file.
        config_class: frozen dataclass of the settings.

    Raises:
        InputError: no such file.
        WeightsError: the file is damaged, newer than this version, or something else.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a model written by NMF.save")
    try:
        with path.open("rb") as handle, ZipFile(handle) as archive:
            meta = json.loads(str(_read_array(archive, "meta")))
            if not isinstance(meta, dict) or meta.get("format") != FORMAT:
                raise ValueError(f'its format is not "{FORMAT}"')
            if meta["version"] > VERSION:
                raise WeightsError(
                    f"{path} has format version {meta['version']} and this undin reads up to {VERSION}: upgrade undin"
                )
            return _read_sources(archive, meta), _settings(meta, config_class), meta
    except DAMAGE as error:
        raise WeightsError(
            f"{path} is damaged or is not a model written by NMF.save ({error}): save it again, or get a new copy"
        ) from error


def _read_sources(archive: ZipFile, meta: dict[str, Any]) -> tuple[Bases, ...]:
    n = meta["n_sources"]
    if type(n) is not int or not 1 <= n <= MOST_SOURCES or (meta.get("talkers", False), n) == (True, 1):
        raise ValueError(f"n_sources must be 1 ... {MOST_SOURCES}, and 2 or more for talkers; got {n!r}")
    stored = {f"{name}{i}": _read_array(archive, f"{name}{i}") for i in range(n) for name in Bases._fields}
    checksum = meta.pop("checksum", None)
    if checksum != (None if meta["version"] == 1 else _checksum(meta, stored)):
        raise ValueError("its checksum does not match")
    bases = tuple(_unit(*(stored[f"{name}{i}"].astype(np.float32) for name in Bases._fields)) for i in range(n))
    _check_bases(bases, meta["config"])
    return bases


def _read_array(archive: ZipFile, name: str) -> NDArray[Any]:
    """One member, of which no more is decompressed than `MOST_BYTES`, nor allocated than it has."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) or info.flag_bits & ENCRYPTED:
        raise ValueError(f"{name} uses an unsupported compression")
    with archive.open(info) as member:
        data = BytesIO(member.read(MOST_BYTES + 1))
    if len(data.getvalue()) > MOST_BYTES:
        raise ValueError(f"{name} has more than {MOST_BYTES} bytes")
    read = READERS.get(np.lib.format.read_magic(data))
    if read is None:
        raise ValueError(f"{name} has an unsupported array format")
    shape, fortran, dtype = read(data)
    flat = np.frombuffer(data.getvalue(), dtype, offset=data.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _checksum(meta: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of the settings and of every array."""
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, a in sorted(arrays.items()):
        digest.update(f"{name}{a.dtype.str}{a.shape}".encode() + np.ascontiguousarray(a).tobytes())
    return digest.hexdigest()


def _settings(meta: dict[str, Any], config_class: type[Config]) -> Config:
    settings = dict(meta["config"])
    if isinstance(settings.get("window"), list) and settings["window"][0] == "kaiser":
        settings["window"] = tuple(settings["window"])  # JSON knows no tuples
    config: Config = make_config(config_class, settings)
    return config


def _unit(W: Matrix, *rows: NDArray[np.float32]) -> Bases:
    """Bases whose columns sum to 1, which storage in float16 had undone."""
    with np.errstate(all="ignore"):  # non-finite values are rejected later
        sums = W.sum(0)
        return Bases(W if np.allclose(sums, 1, rtol=1e-5) else W / sums, *rows)


def _check_bases(bases: tuple[Bases, ...], config: dict[str, Any]) -> None:
    n_freq = config["n_fft"] // 2 + 1
    for W, *rows in bases:
        if W.ndim != 2 or W.shape[0] != n_freq or any(a.shape != W.shape[1:] for a in rows):
            raise ValueError(f"its arrays do not match n_fft = {config['n_fft']}")
        if not all((a >= 0).all() and (a <= LARGEST).all() for a in (W, *rows)):
            raise ValueError(f"its arrays must be in 0 to {LARGEST:g}")
        if not all(np.median(a) > 0 for a in rows):
            raise ValueError("most of its bases are never active")
        if not np.allclose(W.sum(0), 1, atol=1e-3):
            raise ValueError("its bases do not sum to 1")
