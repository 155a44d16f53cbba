"""WS /v1/stream: live sound. Every message gets one answer, in order: sound for sound, JSON for JSON."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from undin.audio.samples import encode
from undin.errors import UndinError
from undin.methods import LIVE
from undin.methods.base import Method
from undin.native import Compiled, CompiledPackets
from undin.packets import Packets, process_packets
from undin.serve.admission import Place, SocketGate
from undin.serve.batches import MOST, Answer, Batches
from undin.serve.limits import Limits
from undin.serve.metrics import Metrics
from undin.serve.models import Models
from undin.serve.query import Query, check_limit_db
from undin.serve.refusal import Refusal

SUBTYPES = {"s16le": "PCM_16", "f32le": "FLOAT"}
RATES = (4000, 384_000)  # Hz
MOST_CHANNELS = 8
MOST_BYTES = 1 << 20  # per message
PIECE_S = 0.1  # a longer packet is processed in pieces, so that other sockets get their turn
LATE_S = 0.02  # a packet is late when its answer takes longer than this and than its own duration
AHEAD_S = 5.0  # of live sound that a client may be ahead of the clock
PACKET_S, N_PROBES = 0.02, 20  # packets and batches by which the cost of a stream is measured


@dataclass(frozen=True)
class SocketSettings:
    """Settings in the query of /v1/stream."""

    sr: int
    channels: int
    subtype: str
    method: Method
    limit_db: float | None
    compiled: Compiled | None = None

    def start(self) -> Packets:
        """One client's signal."""
        if self.compiled is None:
            return Packets(self.method, self.sr, self.channels, self.subtype, limit_db=self.limit_db)
        return CompiledPackets(self.compiled, self.sr, self.channels, self.subtype, limit_db=self.limit_db)

    @property
    def kind(self) -> tuple[str, int, int]:
        """Properties that determine the cost of a stream."""
        return self.method.id, self.sr, self.channels


def parse(query: Query, models: Models) -> SocketSettings:
    """Understand a query.

    Raises:
        Refusal: an invalid value, or a method that cannot run live.
    """
    method = models.enhancer(query.text("method"), LIVE)
    if not method.causal:
        message = f"{method.id} needs the complete signal: use /v1/enhance, or a live method from /v1/methods"
        raise Refusal(422, "wrong_method", message)
    sr = query.integer("sr", 16000, *RATES)
    return SocketSettings(
        sr,
        query.integer("channels", 1, 1, MOST_CHANNELS),
        SUBTYPES[query.choice("format", SUBTYPES, "s16le") or "s16le"],
        method,
        query.limit_db(),
        models.compiled(method, sr),
    )


class Probe:
    """A full batch of packets of noise, by which the cost of a stream is measured.

    Args:
        settings: of the stream.
    """

    def __init__(self, settings: SocketSettings) -> None:
        self._sessions, n = [settings.start() for _ in range(MOST)], max(round(PACKET_S * settings.sr), 1)
        noise = np.random.default_rng(0).standard_normal((n, settings.channels)).clip(-3, 3) / 10
        packet = encode(noise, settings.subtype)
        self._packets = [packet] * MOST
        # Streams begin at different times, so that frames are due at different packets.
        process_packets(self._sessions, [packet[: len(packet) // n * (n * k // MOST)] for k in range(MOST)])

    def cost(self) -> float:
        """Seconds of work per second of audio."""
        start = time.perf_counter()
        process_packets(self._sessions, self._packets)
        return (time.perf_counter() - start) / MOST / PACKET_S


class SocketWorker:
    """Answers live sockets: bytes move in the event loop, sound is processed in threads."""

    def __init__(self, limits: Limits, models: Models, metrics: Metrics) -> None:
        self.limits, self.models, self.metrics, self.gate = limits, models, metrics, SocketGate(limits)
        self.pool = ThreadPoolExecutor(limits.threads, "undin-socket")
        self.batches, self._measuring = Batches(self.pool, limits.threads), asyncio.Lock()

    async def __call__(self, socket: WebSocket) -> None:
        """Serve one socket to its end."""
        names = ("sr", "channels", "format", "method", "limit_db", "token")
        loop = asyncio.get_running_loop()
        settings = await loop.run_in_executor(self.pool, parse, Query(socket.query_params, names), self.models)
        await self._measure(settings)
        await socket.accept()
        try:
            with self.gate.place(settings.kind) as place:
                code, reason = await Conversation(self, socket, settings.start(), place).run()
        except Refusal as refusal:
            self.metrics.add("undin_sockets_refused_total")
            code, reason = 1013, refusal.reason
        with suppress(Exception):  # the client may have gone already
            await asyncio.wait_for(socket.close(code, reason), self.limits.idle_s)

    async def _measure(self, settings: SocketSettings) -> None:
        """Measure the cost of a new kind of stream, once; other sockets get their turn after each batch."""
        if self.gate.knows(settings.kind):
            return
        loop = asyncio.get_running_loop()
        async with self._measuring:
            if not self.gate.knows(settings.kind):
                probe = await loop.run_in_executor(self.pool, Probe, settings)
                costs = [await loop.run_in_executor(self.pool, probe.cost) for _ in range(N_PROBES)]
                self.gate.learn(settings.kind, float(np.median(costs)))  # the median, as machines are busy


class Conversation:
    """One client's messages and their answers."""

    def __init__(self, worker: SocketWorker, socket: WebSocket, session: Packets, place: Place) -> None:
        self._worker, self._socket, self._session, self._place = worker, socket, session, place
        self._idle_s, self._idle = worker.limits.idle_s, asyncio.timeout(None)
        self._waiting_since: float | None = None  # for the client; None while the server works
        self._timer: asyncio.TimerHandle | None = None
        self._audio_s, self._start = 0.0, time.monotonic()
        self._n_packets = self._n_late = 0
        self._answers: list[Answer] = []  # to the latest packet

    async def run(self) -> tuple[int, str]:
        """Answer until the end; return the close code and its reason."""
        try:
            async with self._idle:
                self._watch()
                while not self._place.shed:
                    self._waiting_since = time.monotonic()
                    message = await self._socket.receive()
                    if message["type"] == "websocket.disconnect":
                        return 1000, ""
                    await self._answer(message, time.monotonic())
            raise self._worker.gate.refusal()
        except TimeoutError:
            return 1001, f"idle for {self._idle_s:g} s"
        except UndinError as error:
            return 1007, Refusal(422, "bad_audio", str(error)).reason
        except WebSocketDisconnect:
            return 1000, ""
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _watch(self) -> None:
        """End an idle conversation. A look now and then costs less than a timer for each packet."""
        loop, now = asyncio.get_running_loop(), time.monotonic()
        wait_s = (self._waiting_since or now) + self._idle_s - now
        if wait_s <= 0:
            self._idle.reschedule(loop.time())
        else:
            self._timer = loop.call_later(wait_s, self._watch)

    async def _answer(self, message: Message, arrival: float) -> None:
        data, self._waiting_since = message.get("bytes"), None
        answer = await (self._control(message["text"]) if data is None else self._packet(data))
        self._waiting_since = time.monotonic()
        await self._send(answer)
        self._waiting_since = None
        if data:
            await self._account(time.monotonic() - arrival, self._session.seconds(data))

    async def _send(self, answer: bytes | dict[str, Any]) -> None:
        if isinstance(answer, bytes):
            await self._socket.send_bytes(answer)
        else:
            await self._socket.send_text(json.dumps(answer))

    async def _packet(self, data: bytes) -> bytes:
        """Process a packet, a long one in pieces."""
        session = self._session
        size = max(round(PIECE_S * session.sr), 1) * session.frame_bytes
        self._answers = []
        for i in range(0, len(data), size):
            self._answers.append(await self._worker.batches.process(session, data[i : i + size]))
        return b"".join(answer.data for answer in self._answers)

    async def _account(self, answer_s: float, audio_s: float) -> None:
        """Count a packet, and hold back a client that sends faster than live sound comes."""
        late = answer_s > max(LATE_S, audio_s)
        self._n_packets, self._n_late, self._audio_s = self._n_packets + 1, self._n_late + late, self._audio_s + audio_s
        work_s = sum(answer.work_s for answer in self._answers)
        n_batch = min(answer.n_batch for answer in self._answers)
        self._worker.gate.follow(self._place, work_s, audio_s, n_batch=n_batch, late=late)
        self._worker.metrics.add_packet(answer_s)
        self._worker.metrics.add("undin_socket_audio_seconds_total", audio_s)
        self._worker.metrics.add("undin_packets_late_total", late)
        ahead_s = self._audio_s - (time.monotonic() - self._start)
        if ahead_s > AHEAD_S:
            await asyncio.sleep(min(ahead_s - AHEAD_S, AHEAD_S))  # pings must still be answered

    async def _control(self, text: str) -> bytes | dict[str, Any]:
        """Obey a JSON message; one that is wrong is answered with an error and changes nothing."""
        try:
            message = json.loads(text)
            kind = message["type"]
            if kind == "limit_db":
                self._session.stream.limit_db = check_limit_db(message["value"])
                return {"type": kind, "value": message["value"]}
            if kind == "reset":
                self._session.reset()
                return {"type": kind}
            if kind == "flush":
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._worker.pool, self._session.flush)
            if kind == "stats":
                return {"type": kind, **self._stats()}
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        except Refusal as refusal:
            return refusal.body
        return Refusal(422, "invalid_message", f"{MESSAGES}; got {text[:60]!r}").body

    def _stats(self) -> dict[str, Any]:
        session = self._session
        return {
            "audio_s": round(self._audio_s, 3),
            "packets": self._n_packets,
            "late": self._n_late,
            "clipped": session.n_clipped,
            "latency": session.stream.latency,
            "latency_ms": session.stream.latency_ms,
            "limit_db": session.stream.limit_db,
        }


MESSAGES = 'a text message must be JSON such as {"type": "limit_db", "value": 12}, or of type reset, flush or stats'
