"""Live sound by WebSocket: the same samples as `Stream`, and every refusal."""

import asyncio
import json
import os
import re
import shutil
import signal as signals
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serve_running import eventually, running, signal
from starlette.datastructures import QueryParams
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import undin
from undin.native import Compiled, CompiledPackets
from undin.packets import Packets
from undin.serve import Limits
from undin.serve.admission import SocketGate
from undin.serve.batches import Batches
from undin.serve.metrics import Metrics
from undin.serve.models import Models
from undin.serve.query import Query
from undin.serve.refusal import Refusal
from undin.serve.sockets import Probe, SocketWorker, parse

RATES = (8000, 16000, 24000, 48000)


def packets(data, frame_bytes, seed=0):
    """Packets of odd sizes, an empty one among them."""
    rng, at = np.random.default_rng(seed), 0
    yield b""
    while at < len(data):
        n = int(rng.choice([1, 7, 160, 333, 480, 961, 5000])) * frame_bytes
        yield data[at : at + n]
        at += n


def s16(x):
    return np.rint(x.T * 32768).clip(-32768, 32767).astype("<i2").tobytes()


def open_(server, **params):
    query = "&".join(f"{name}={value}" for name, value in params.items())
    return connect(f"{server.ws}/v1/stream?{query}", compression=None)


def ask(socket, message):
    socket.send(message)
    return socket.recv()


@pytest.fixture(scope="module")
def lull(tmp_path_factory):
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler on this machine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        return Compiled()


@pytest.fixture(scope="module")
def compiled(lull):
    """A server whose streams of lull run in C."""
    with running(Limits(threads=64, sockets=64), compiled=[lull]) as server:
        yield server


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("sr", RATES)
def test_sound_is_that_of_stream_within_one_step(server, sr, n_channels):
    check_sound(server, sr, n_channels)


@pytest.mark.parametrize("sr, n_channels", [(8000, 1), (48000, 2), (96000, 1)])
def test_sound_of_compiled_streams_is_that_of_stream(compiled, sr, n_channels):
    check_sound(compiled, sr, n_channels)  # above 48 kHz as without a compiler


def test_only_a_compiled_network_at_its_rates_runs_in_c(lull):
    def kind(**params):
        return type(parse(Query(QueryParams(params), params), models).start())

    models = Models([lull])
    assert kind(method="lull", sr=16000) is kind(sr=48000) is CompiledPackets
    assert kind(method="lull", sr=96000) is kind(method="spectral-gate", sr=16000) is Packets


def check_sound(server, sr, n_channels):
    x = signal(sr, 0.4, n_channels)
    stream = undin.load().stream(sr)
    y = np.concatenate([stream.process(x, equal=True), stream.flush()], -1)
    with open_(server, sr=sr, channels=n_channels) as socket:
        answers = []
        for packet in packets(s16(x), 2 * n_channels):
            answers.append(ask(socket, packet))
            assert len(answers[-1]) == len(packet)
        answers.append(ask(socket, json.dumps({"type": "flush"})))
    got = np.frombuffer(b"".join(answers), "<i2").reshape(-1, n_channels).T
    assert got.shape == y.shape
    assert np.abs(got - y * 32768).max() <= 1


def test_floats_methods_and_strength(server):
    x = signal(16000, 0.4)
    expected = undin.load("log-mmse").stream(16000, limit_db=6).process(x, equal=True)
    with open_(server, method="log-mmse", format="f32le", limit_db=6) as socket:
        got = np.frombuffer(ask(socket, x.astype("<f4").tobytes()), "<f4")
    assert np.abs(got - expected).max() < 1e-5


def test_messages_each_get_one_answer(server):
    check_messages(server, "spectral-gate")


def test_messages_to_compiled_streams(compiled):
    check_messages(compiled, "lull")
    with open_(compiled, format="f32le") as socket:
        socket.send(np.full(4, np.nan, "<f4").tobytes())
        assert closed(socket)[0] == 1007


def check_messages(server, method):
    x = s16(signal(16000, 0.3))
    with open_(server, method=method) as socket:
        first = ask(socket, x)
        assert json.loads(ask(socket, '{"type": "reset"}')) == {"type": "reset"}
        assert ask(socket, x) == first
        assert json.loads(ask(socket, '{"type": "limit_db", "value": 0}')) == {"type": "limit_db", "value": 0}
        assert json.loads(ask(socket, '{"type": "reset"}')) == {"type": "reset"}
        stream = undin.load(method).stream(16000)
        whole = ask(socket, x) + ask(socket, '{"type": "flush"}')
        delayed = np.frombuffer(whole, "<i2")[stream.latency :]
        assert np.abs(delayed - np.frombuffer(x, "<i2")).max() <= 1  # limit_db = 0 gives the input back
        stats = json.loads(ask(socket, '{"type": "stats"}'))
        assert (stats["packets"], stats["audio_s"], stats["latency_ms"]) == (3, 0.9, stream.latency_ms)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.2)  # nothing unasked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"type": "no"}',
        '{"type": "limit_db"}',
        '{"type": "limit_db", "value": -1}',
        f'{{"type": "limit_db", "value": 1{"0" * 400}}}',
        "[" * 9999,
    ],
)
def test_wrong_messages_are_answered_and_change_nothing(server, text):
    with open_(server, method="spectral-gate") as socket:
        error = json.loads(ask(socket, text))["error"]
        assert set(error) == {"code", "message"}
        assert len(ask(socket, bytes(640))) == 640


@pytest.mark.parametrize(
    "params, status, words",
    [
        ({"method": "nope"}, 422, "unknown method"),
        ({"method": "blstm-mask"}, 422, "/v1/separate"),
        ({"method": "nmf-exp"}, 422, "complete signal"),
        ({"sr": 0}, 422, "sr must be"),
        ({"sr": "16k"}, 422, "sr must be"),
        ({"channels": 99}, 422, "channels must be"),
        ({"format": "mp3"}, 422, "format must be one of s16le, f32le"),
        ({"limit_db": -3}, 422, "limit_db must be"),
        ({"rate": 16000}, 422, "unknown setting 'rate'"),
    ],
)
def test_wrong_settings_are_refused_before_the_handshake(server, params, status, words):
    with pytest.raises(InvalidStatus) as refused, open_(server, **params):
        pass
    response = refused.value.response
    assert response.status_code == status
    assert words in json.loads(response.body)["error"]["message"]


def closed(socket):
    with pytest.raises(ConnectionClosed) as end:
        socket.recv(timeout=30)
    return end.value.rcvd.code, end.value.rcvd.reason


@pytest.mark.parametrize(
    "format, packet, code, words",
    [
        ("s16le", b"\0\0\0", 1007, "complete samples"),
        ("f32le", np.full(4, np.nan, "<f4").tobytes(), 1007, ""),
        ("s16le", bytes((1 << 20) + 2), 1009, ""),
    ],
)
def test_wrong_packets_close_the_socket_with_a_reason(server, format, packet, code, words):
    with open_(server, method="spectral-gate", format=format) as socket:
        socket.send(packet)
        got, reason = closed(socket)
        assert got == code and words in reason


def test_an_unexpected_error_of_a_batch_reaches_every_socket_of_it(monkeypatch):
    def fail(signals, packets):
        raise MemoryError

    monkeypatch.setattr("undin.serve.batches.process_packets", fail)

    async def ask_twice():
        with ThreadPoolExecutor(1) as pool:
            batches = Batches(pool, 1)
            return await asyncio.wait_for(
                asyncio.gather(*(batches.process(None, b"") for _ in range(2)), return_exceptions=True), 10
            )

    assert [type(error) for error in asyncio.run(ask_twice())] == [MemoryError] * 2


def test_batches_grow_with_the_load_and_a_lone_packet_does_not_wait(monkeypatch):
    monkeypatch.setattr("undin.serve.batches.BATCH_S", 0.5)
    sizes = []

    def process(signals, packets):
        sizes.append(len(packets))
        return list(packets)

    monkeypatch.setattr("undin.serve.batches.process_packets", process)

    async def ask_in_turn():
        with ThreadPoolExecutor(1) as pool:
            batches, loop = Batches(pool, 1), asyncio.get_running_loop()
            start = loop.time()
            await batches.process(None, b"0")
            alone = loop.time() - start
            waiting = []
            for _ in range(3):  # one by one, while the next batch is not due yet
                waiting.append(asyncio.create_task(batches.process(None, b"1")))
                await asyncio.sleep(0.01)
            await asyncio.gather(*waiting)
            few = loop.time() - start
            answers = await asyncio.gather(*(batches.process(None, b"2") for _ in range(40)))
            assert [answer.n_batch for answer in answers] == [16] * 32 + [8] * 8
            return alone, few, loop.time() - start

    alone, few, many = asyncio.run(ask_in_turn())
    assert sizes == [1, 3, 16, 16, 8]
    assert alone < 0.4 and few >= 0.5  # a full batch does not wait either, the last 8 do
    assert few < many


def test_idle_sockets_are_closed():
    with running(Limits(idle_s=0.3, threads=64)) as server, open_(server, method="spectral-gate") as socket:
        assert closed(socket) == (1001, "idle for 0.3 s")


def test_sockets_beyond_capacity_are_closed_with_1013_and_others_stay():
    with running(Limits(sockets=1, threads=64)) as server:
        with open_(server, method="spectral-gate") as first:
            ask(first, bytes(640))
            with open_(server, method="spectral-gate") as second:
                code, reason = closed(second)
                assert code == 1013 and "at capacity with 1 sockets" in reason
            assert len(ask(first, bytes(640))) == 640
        eventually(lambda: gauge(server, "undin_sockets") == 0)
        assert gauge(server, "undin_sockets_refused_total") == 1
        with open_(server, method="spectral-gate") as third:
            assert len(ask(third, bytes(640))) == 640


def gauge(server, name):
    return float(re.search(rf"^{name} (.+)$", server.http.get("/metrics").text, re.M)[1])


def test_the_gate_admits_by_cost_and_closes_while_packets_are_late():
    gate = SocketGate(Limits(threads=1, sockets=100))
    gate.learn("a", 0.14)
    with gate.place("a"), gate.place("a"), gate.place("a"), gate.place("a"), gate.place("a"):
        assert 0.8 < gate.load <= 1
        with pytest.raises(Refusal, match="at capacity with 5 sockets"), gate.place("a"):
            pass
    assert gate.n_open == 0 == gate.load
    for n_batch in (1, 8):
        with gate.place("a") as place:
            before = gate.load
            gate.follow(place, 0.01, 0.02, n_batch=n_batch, late=False)
            assert (gate.load > before) == (n_batch == 8)  # small batches cost more, and say nothing of a full server
            before = gate.load
            for _ in range(52):  # a second of audio
                gate.follow(place, 0.0001, 0.02, n_batch=n_batch, late=False)
            assert gate.load < before  # the machine was busy when the cost was measured
    with gate.place("a") as place:  # one alone is always admitted
        for _ in range(100):
            gate.follow(place, 0.001, 0.02, n_batch=8, late=True)
        with pytest.raises(Refusal), gate.place("a"):
            pass
        assert not place.shed


@pytest.mark.parametrize("n_batch", [1, 8])
def test_the_cost_is_the_mean_of_packets_with_and_without_a_frame(n_batch):
    gate = SocketGate(Limits(threads=1, sockets=100))
    gate.learn("a", 0.0155)
    with gate.place("a") as place:
        before = gate.load
        for cost in [0.001, 0.03] * 1000:  # 10 s of packets of 5 ms
            gate.follow(place, 0.005 * cost, 0.005, n_batch=n_batch, late=False)
        assert gate.load == pytest.approx(before, rel=0.02)


def test_sockets_that_come_together_measure_the_cost_once(monkeypatch):
    probes = []

    class Counted(Probe):
        def __init__(self, settings):
            probes.append(settings.kind)
            super().__init__(settings)

    monkeypatch.setattr("undin.serve.sockets.Probe", Counted)
    with running(Limits(threads=64)) as server, ThreadPoolExecutor(6) as pool:
        rates = [8000, 16000] * 3
        sockets = list(pool.map(lambda sr: open_(server, method="spectral-gate", sr=sr).__enter__(), rates))
        for socket in sockets:
            assert len(ask(socket, bytes(640))) == 640
            socket.close()
    assert sorted(probes) == [("spectral-gate", 8000, 1), ("spectral-gate", 16000, 1)]


def test_late_packets_close_the_latest_sockets_on_probation(monkeypatch):
    monkeypatch.setattr("undin.serve.admission.SHED_S", 0.0)
    gate = SocketGate(Limits(threads=64, sockets=100))
    gate.learn("a", 0.01)
    with gate.place("a") as first, gate.place("a") as old, gate.place("a") as new, gate.place("a") as newest:
        first.start = old.start = time.monotonic() - 60
        for expected in ([False, False, False, True], [False, False, True, True], [False, False, True, True]):
            for _ in range(3):
                gate.follow(first, 0.001, 0.02, n_batch=8, late=True)
            assert [place.shed for place in (first, old, new, newest)] == expected


def test_a_killed_client_frees_its_place(server):
    """kill -9 while its packets are on their way."""
    code = f"""
from websockets.sync.client import connect
with connect("{server.ws}/v1/stream?method=spectral-gate") as socket:
    while True:
        socket.send(bytes(640))
        print(len(socket.recv()), flush=True)
"""
    before = gauge(server, "undin_sockets")
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"640\n"
    assert gauge(server, "undin_sockets") == before + 1
    os.kill(client.pid, signals.SIGKILL)
    client.communicate()
    eventually(lambda: gauge(server, "undin_sockets") == before)


class NeverReads:
    """A socket whose client sends and does not read: writing blocks when the buffers are full."""

    query_params = QueryParams("method=spectral-gate")
    closed = None

    async def accept(self):
        pass

    async def receive(self):
        return {"type": "websocket.receive", "bytes": bytes(640)}

    async def send_bytes(self, data):
        await asyncio.Event().wait()

    async def close(self, code, reason):
        self.closed = code
        await asyncio.Event().wait()


def test_a_client_that_never_reads_is_closed():
    worker, socket = SocketWorker(Limits(idle_s=0.2, threads=64), Models(), Metrics()), NeverReads()
    asyncio.run(worker(socket))
    worker.pool.shutdown()
    assert socket.closed == 1001 and worker.gate.n_open == 0


class Patient(NeverReads):
    """A socket whose client sends one message and reads the answer slowly."""

    def __init__(self, message):
        self.messages, self.answers = [message, {"type": "websocket.disconnect"}], []

    async def receive(self):
        return self.messages.pop(0)

    async def send_bytes(self, data):
        await asyncio.sleep(0.6)
        self.answers.append(data)

    async def close(self, code, reason):
        self.closed = code


@pytest.mark.parametrize(
    "message, work_s",
    [({"bytes": bytes(32000)}, 0.15), ({"bytes": bytes(3200)}, 1.5), ({"text": '{"type": "flush"}'}, 1.5)],
    ids=["ten pieces", "one", "flush"],
)
def test_the_work_of_the_server_is_no_idle_time_of_the_client(monkeypatch, message, work_s):
    process, flush = Batches.process, Packets.flush

    async def slow(*args):
        await asyncio.sleep(work_s)
        return await process(*args)

    def slow_flush(session):
        time.sleep(work_s)
        return flush(session)

    monkeypatch.setattr(Batches, "process", slow)
    monkeypatch.setattr(Packets, "flush", slow_flush)
    worker = SocketWorker(Limits(idle_s=1, threads=64), Models(), Metrics())
    socket = Patient({"type": "websocket.receive", **message})
    asyncio.run(worker(socket))
    worker.pool.shutdown()
    assert len(socket.answers) == 1 and socket.closed == 1000


def test_sockets_of_known_kinds_do_not_wait_while_another_is_measured():
    worker, query = SocketWorker(Limits(threads=64), Models(), Metrics()), Query(NeverReads.query_params, ["method"])
    settings = parse(query, worker.models)
    worker.gate.learn(settings.kind, 0.01)

    async def measure():
        async with worker._measuring:
            await asyncio.wait_for(worker._measure(settings), 1)

    asyncio.run(measure())
    worker.pool.shutdown()


class Shed(NeverReads):
    """A socket whose place is taken away behind its first packet."""

    def __init__(self, worker):
        self.worker, self.answers = worker, []

    async def send_bytes(self, data):
        self.answers.append(data)
        self.worker.gate._places[-1].shed = True

    async def close(self, code, reason):
        self.closed = code, reason


def test_a_socket_that_is_shed_is_closed_with_1013():
    worker = SocketWorker(Limits(threads=64), Models(), Metrics())
    socket = Shed(worker)
    asyncio.run(worker(socket))
    worker.pool.shutdown()
    assert len(socket.answers) == 1 and worker.gate.n_open == 0
    assert socket.closed[0] == 1013 and "try again later" in socket.closed[1]


def test_with_a_token_sockets_need_it_in_the_header_or_the_query():
    with running(Limits(threads=64), token="correct horse") as server:
        for params in ({}, {"token": "wrong"}):
            with pytest.raises(InvalidStatus) as refused, open_(server, **params):
                pass
            assert refused.value.response.status_code == 401
        with open_(server, token="correct%20horse", method="spectral-gate") as socket:
            assert len(ask(socket, bytes(640))) == 640
        headers = {"Authorization": "Bearer correct horse"}
        with connect(f"{server.ws}/v1/stream?method=spectral-gate", additional_headers=headers) as socket:
            assert len(ask(socket, bytes(640))) == 640


def test_pages_of_other_sites_cannot_open_sockets(server):
    with pytest.raises(InvalidStatus) as refused, connect(f"{server.ws}/v1/stream", origin="https://evil.example"):
        pass
    assert refused.value.response.status_code == 403


def test_late_answers_are_counted_for_the_client_and_the_operator(server, monkeypatch):
    def late():
        (total,) = re.findall(r"^undin_packets_late_total (.+)$", server.http.get("/metrics").text, re.M) or [0]
        return json.loads(ask(socket, '{"type": "stats"}'))["late"], float(total)

    with open_(server, method="spectral-gate") as socket:
        monkeypatch.setattr("undin.serve.sockets.LATE_S", 60.0)
        ask(socket, bytes(2))
        of_client, total = late()
        assert of_client == 0
        monkeypatch.setattr("undin.serve.sockets.LATE_S", 0.0)
        ask(socket, bytes(2))  # a single sample cannot be answered within its 63 us
        assert late() == (1, total + 1)


def test_senders_ahead_of_live_sound_are_slowed(server, monkeypatch):
    monkeypatch.setattr("undin.serve.sockets.AHEAD_S", 0.1)
    with open_(server, sr=8000, method="spectral-gate") as socket:
        start = time.monotonic()
        for _ in range(8):
            ask(socket, bytes(1600))  # 0.1 s each
        assert time.monotonic() - start >= 0.5
