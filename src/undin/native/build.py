"""Builds from the C files: LADSPA plugins and engines by this machine's compiler, WebAssembly by the one of PyPI."""

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from undin.atomic import atomic_write
from undin.copies import cache_folder
from undin.errors import InputError, WeightsError, require
from undin.methods import WEIGHTS, Learned
from undin.native.library import TEMPLATES, Library, make_library, plain, writing

WEB, BUILT = Path(__file__).with_name("web"), Path(__file__).with_name("built")
SCRIPT = "undin.js"
SHARED = ("-std=c99", "-O2", "-shared", "-fPIC", "-fvisibility=hidden")
MOST_CHANNELS = 8  # of a compiled stream
PAGE_MODELS = ("lull", "blstm-mask")
SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")  # of a library


def find_compiler() -> list[str]:
    """This machine's C compiler: $CC, which may have arguments, cc, gcc or clang.

    Raises:
        InputError: no compiler was found, or a quote in $CC is not closed.
    """
    for command in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        name, *args = [command] if shutil.which(command) else _words(command)
        if path := shutil.which(name.strip('"')):  # Windows keeps quotes
            return [path, *args]
    raise InputError("this needs a C compiler, and none was found: install gcc or clang, or set CC")


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command, posix=os.name != "nt") or [""]
    except ValueError as error:
        raise InputError(f"CC is not a command ({error}): set it to the path of a C compiler") from error


def build_ladspa(library: Library, path: Path) -> Path:
    """Build a LADSPA plugin.

    Args:
        library: the network.
        path: the file to write.

    Raises:
        InputError: the network needs the whole signal, no compiler, or the file cannot be written.
    """
    if not library.method.causal:
        raise InputError(f"{library.method.id} needs the whole signal: a plugin needs a causal network, such as lull")
    source = library.fill("ladspa.c", plugins="\n".join(_plugin(library, n) for n in (1, 2)))
    return _build(library, path, {"ladspa.c": source}, [*find_compiler(), *SHARED], ["-lm"])


def build_engine(method: Learned, say: Callable[[str], object] | None = None) -> Path:
    """Build a causal network as a library for this process, once: the next call finds it in the user's cache.

    Args:
        method: the network.
        say: called with a line of text before compiling, which takes seconds.

    Returns:
        The file, in a folder that only this user can write to.

    Raises:
        InputError: no compiler, or the cache cannot be written or belongs to others.
        WeightsError: the compiler failed, or the graph has operations that export to C does not know.
    """
    folder, name = cache_folder() / "compiled", _engine_name(method)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(folder)
        for path in folder.glob(f"{name}-*{SUFFIX}"):
            _check_private(path)
            if path.stem.endswith(_digest(path.read_bytes())):  # otherwise damaged
                return path
        compiler = find_compiler()
        if say:
            say(f"compiling {method.id}; later starts reuse the result")
        library = make_library(method.runner.path)
        prefix = f"-D{library.name.upper()}"
        flags = [*SHARED, f"{prefix}_SHARED", f"{prefix}_MAX_CHANNELS={MOST_CHANNELS}"]
        sources = {"engine.c": library.fill("engine.c")}
        built = _compile(library, f"{name}{SUFFIX}", sources, [*compiler, *flags], ["-lm"])
        return _store(built, folder / f"{name}-{_digest(built)}{SUFFIX}")
    except OSError as error:
        raise InputError(
            f"{folder} cannot be used ({error.strerror or error}): set UNDIN_CACHE to another folder"
        ) from error


def _engine_name(method: Learned) -> str:
    """A network's name in the cache: by the weights, this package's code with its flags, the machine, and CC."""
    label = re.sub(r"\W", "_", method.runner.path.stem, flags=re.ASCII)
    return f"{label}-{_key(method.digest, sys.platform, platform.machine(), os.environ.get('CC', ''))}"


def _store(built: bytes, path: Path) -> Path:
    """Write a library that only this user can change, and wait until it is on the disk."""
    with atomic_write(path, "wb") as file:
        Path(file.name).chmod(0o600)
        file.write(built)
        file.flush()
        os.fsync(file.fileno())
    return path


def _key(*parts: str) -> str:
    """A name for what is built from these parts by this package's code."""
    sources = sorted([*TEMPLATES.iterdir(), *Path(__file__).parent.glob("*.py")], key=lambda source: source.name)
    texts = [*parts, *(source.read_text("utf-8") for source in sources)]
    return _digest(repr(texts).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _check_private(path: Path) -> None:
    """Refuse to run code that another user could have written."""
    if os.name != "posix":
        return
    about = path.stat()
    if about.st_uid != os.getuid() or about.st_mode & 0o022:
        raise InputError(f"{path} can be written by other users: remove it, or set UNDIN_CACHE to another folder")


def build_wasm(library: Library, folder: Path) -> tuple[Path, Path]:
    """Build a WebAssembly module, and write the ES module that wraps it as an audio node.

    Args:
        library: the network.
        folder: made if it is missing.

    Returns:
        The two files.

    Raises:
        InputError: the package ziglang is missing, or the folder cannot be written.
    """
    require("ziglang", extra="wasm")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-mexec-model=reactor"]
    flags = [
        f"-D{library.name.upper()}_MAX_CHANNELS=8",
        "-std=c99",
        "-O3",
        "-msimd128",
        "-mbulk-memory",
        "-fno-math-errno",
        "-s",
    ]
    module = _build(
        library, folder / f"{library.label}.wasm", {"wasm.c": library.fill("wasm.c")}, [*compiler, *flags], []
    )
    script = folder / SCRIPT
    with writing(folder), atomic_write(script, "w") as file:
        file.write((TEMPLATES / SCRIPT).read_text("utf-8"))
    return module, script


def write_page(folder: Path) -> list[Path]:
    """Write the page: static files that any web server can host.

    Args:
        folder: made if it is missing.

    Returns:
        The files.

    Raises:
        InputError: the modules are not built and the package ziglang is missing, or the folder cannot be written.
    """
    sources = page_files()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in sources.items():
            with atomic_write(folder / name, "wb") as file:
                file.write(source.read_bytes())
    missing = [model for model in PAGE_MODELS if f"{model}.wasm" not in sources]
    found = [build_wasm(make_library(model), folder)[0] for model in missing]
    return sorted([*found, *(folder / name for name in sources)])


def page_files() -> dict[str, Path]:
    """The page's files that the package has, by the names under which the page asks for them."""
    modules = {f"{model}.wasm": built_module(model) for model in PAGE_MODELS}
    sources = {source.name: source for source in (*WEB.iterdir(), TEMPLATES / SCRIPT)}
    return sources | {name: module for name, module in modules.items() if module.exists()}


def built_module(model: str) -> Path:
    """Where `prebuild` writes the module of a shipped network: other weights or code have another name."""
    return BUILT / f"{model}-{_key(hashlib.sha256((WEIGHTS / f'{model}.onnx').read_bytes()).hexdigest())}.wasm"


def prebuild() -> list[Path]:
    """Build the page's modules into the package, so that `undin page` of its wheel needs no compiler.

    Returns:
        The files.
    """
    shutil.rmtree(BUILT, ignore_errors=True)
    with TemporaryDirectory() as folder:
        found = {built_module(model): build_wasm(make_library(model), Path(folder))[0] for model in PAGE_MODELS}
        BUILT.mkdir()
        for path, module in found.items():
            shutil.move(module, path)
    return list(found)


def _build(library: Library, path: Path, sources: dict[str, str], compiler: list[str], libraries: list[str]) -> Path:
    """Compile the library with more sources into one file."""
    built = _compile(library, path.name, sources, compiler, libraries)
    with writing(path), atomic_write(path, "wb") as file:
        file.write(built)
    return path


def _compile(
    library: Library, target: str, sources: dict[str, str], compiler: list[str], libraries: list[str]
) -> bytes:
    """The content of a file with this name."""
    with TemporaryDirectory() as draft:
        folder = Path(draft)
        library.write(folder)
        for name, text in sources.items():
            (folder / name).write_text(text, "utf-8")
        names = [*sources, f"{library.name}.c"]
        out = folder / f"out{Path(target).suffix}"
        command = [*compiler, *names, "-o", out.name, *libraries]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
            raise WeightsError(f"{compiler[0]} could not build {target} ({first}): try another compiler (set CC)")
        return out.read_bytes()


def _plugin(library: Library, n_channels: int) -> str:
    """The tables of one plugin."""
    kind, n_src = ("mono", "stereo")[n_channels - 1], library.method.n_src or 1
    sides = [""] if n_channels == 1 else [" left", " right"]
    outs = [f"Output{f' {s + 1}' if n_src > 1 else ''}{side}" for s in range(n_src) for side in sides]
    names = [*(f"Input{side}" for side in sides), *outs, "Limit (dB)", "latency"]
    kinds = ["KIND_IN"] * n_channels + ["KIND_OUT"] * len(outs) + ["CONTROLS"]
    ranges = ["FREE"] * (n_channels + len(outs)) + ["LIMIT", "LATENCY"]
    label = library.name if n_channels == 1 else f"{library.name}_stereo"
    number = zlib.crc32(label.encode()) % 0x1000000  # LADSPA's numbers have 24 bits
    about = f'"undin {library.label}, {kind}", "undin", "{plain(library.method.card.licence)}"'
    return f"""
static const int {kind}_ports[] = {{{", ".join(kinds)}}};
static const char *const {kind}_names[] = {{{", ".join(f'"{name}"' for name in names)}}};
static const Range {kind}_ranges[] = {{{", ".join(ranges)}}};
static const Descriptor {kind} = {{
    {number}, "{label}", HARD_REALTIME, {about},
    {len(names)}, {kind}_ports, {kind}_names, {kind}_ranges, NULL,
    instantiate, connect_port, activate, run, NULL, NULL, NULL, cleanup}};
"""
