"""The path of live samples, driven by callbacks of the test instead of a device's."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from live_waiting import until

import undin
from undin.errors import InputError
from undin.live.line import SETTLE_S, STALL_S, Controls, Line, resized
from undin.live.ring import Ring

SR, BLOCK = 16_000, 160


@pytest.fixture(scope="module")
def method():
    return undin.load("spectral-gate")


def signal(seconds, n_channels=1):
    rng = np.random.default_rng(0)
    x = (
        0.1
        * rng.standard_normal((round(seconds * SR), n_channels))
        * (1 + np.sin(np.arange(seconds * SR) / 800))[:, None]
    )
    return x.astype(np.float32)


@pytest.fixture
def clock(monkeypatch):
    """The clock of the line; the test moves it."""
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now, perf_counter=time.perf_counter)
    monkeypatch.setattr("undin.live.line.time", clock)
    return clock


def hand_over(line, x):
    """Call back for capture, and wait until the worker has passed the samples on."""
    passed, write = threading.Event(), line._finished.write
    line._finished.write = lambda y: (write(y), passed.set())[0]
    line.capture(x)
    assert passed.wait(30)
    line._finished.write = write


def speak(line, x, *, play=True):
    """Drive both callbacks block by block, in step with the worker; gives what was played."""
    played = []
    for i in range(0, len(x) - BLOCK + 1, BLOCK):
        hand_over(line, x[i : i + BLOCK])
        if play:
            played.append(np.ones((BLOCK, line.n_channels), np.float32))
            line.play(played[-1])
    return np.concatenate(played) if played else None


def expected(method, x, **settings):
    return method.stream(SR, **settings).process(np.ascontiguousarray(x.T), equal=True).T


def after_reserve(line, y):
    """Without the zeros at the start, while the reserve was filled."""
    return y[line._reserve :]


@pytest.mark.parametrize("n_channels", [1, 2])
def test_played_sound_is_that_of_stream_later_by_the_reserve(method, n_channels):
    x = signal(1, n_channels)
    with Line(method, SR, n_channels, reserve_s=0.02) as line:
        y = speak(line, x)
        assert line.status().drop_outs == 0
    n_reserve = round(0.02 * SR)
    assert not y[:n_reserve].any()
    np.testing.assert_allclose(y[n_reserve:], expected(method, x)[:-n_reserve], atol=1e-6)
    assert line.delay_s == pytest.approx(method.latency_ms / 1e3 + 0.02)


def test_raw_sound_has_the_same_delay(method):
    x = signal(0.5)
    with Line(method, SR, 1, Controls(raw=True)) as line:
        y = speak(line, x)
    delay = round(line.delay_s * SR)
    np.testing.assert_allclose(y[delay:], x[:-delay], atol=1e-5)


def test_mute_fades_within_a_block_and_back(method):
    x = (0.3 * np.sin(2 * np.pi * 130 * np.arange(SR) / SR)).astype(np.float32)[:, None]  # its end meets its start
    controls = Controls(raw=True)
    with Line(method, SR, 1, controls) as line:
        first = speak(line, x)
        controls.muted = True
        silent = speak(line, x)
        controls.muted = False
        again = speak(line, x)
    n = line._reserve + BLOCK
    assert not silent[n:].any()
    np.testing.assert_allclose(np.abs([first[-2 * BLOCK :].max(), again[n:].max()]), 0.3, rtol=0.01)
    jumps = np.abs(np.diff(np.concatenate([first[-BLOCK:], silent, again]), axis=0)).max()
    assert jumps < 1.5 * np.abs(np.diff(x, axis=0)).max()  # a click would be 0.1 or more, twelve times that of the tone


def test_a_late_worker_is_one_drop_out_and_the_reserve_is_filled_again(method):
    x = signal(0.2)
    with Line(method, SR, 1) as line:
        speak(line, x)
        for _ in range(5):  # playback without capture: the reserve runs out
            block = np.ones((BLOCK, 1), np.float32)
            line.play(block)
        assert not block.any() and line.status().drop_outs == 1
        y = speak(line, x)
        assert line.status().drop_outs == 1 and not y[:BLOCK].any() and y[-BLOCK:].any()


def test_lost_samples_and_full_rings_are_drop_outs(method, clock):
    with Line(method, SR, 1) as line:
        line.capture(np.zeros((BLOCK, 1), np.float32), lost=True)
        line.play(np.zeros((BLOCK, 1), np.float32), lost=True)
        assert line.status().drop_outs == 2
        speak(line, signal(0.1))
        assert line.status().drop_outs == 2
        speak(line, signal(1.2), play=False)
        assert line.status().drop_outs > 2


def test_nobody_hears_what_a_device_loses_before_it_has_settled(method, monkeypatch, clock):
    """At the start, and after a pause, in which the sound server may have moved the sound to another device."""
    monkeypatch.setattr("undin.live.line.SETTLE_S", 60.0)
    with Line(method, SR, 1) as line:  # its ring is full
        speak(line, signal(1.2), play=False)
    assert line.status().drop_outs == 0
    with Line(method, SR, 1) as line:
        speak(line, signal(0.9), play=False)
        for _ in range(69):  # a burst of callbacks, while the device fills its buffer
            block = np.ones((BLOCK, 1), np.float32)
            line.play(block, lost=True)
            assert not block.any()
        assert line.status().drop_outs == 0
        line._steady_from = 0.0
        y = speak(line, signal(0.2))
        assert y[-BLOCK:].any() and len(line._finished) == line._reserve
        assert line.status().drop_outs == 0
        line._called[1] = 0.0  # the pause itself is audible
        for _ in range(9):
            line.play(block)
        assert not block.any() and line.status().drop_outs == 1


def test_a_device_with_a_long_buffer_may_call_in_bursts(method, monkeypatch, clock):
    monkeypatch.setattr("undin.live.line.SETTLE_S", SETTLE_S)
    with Line(method, SR, 1, reserve_s=0.5) as line:
        for _ in range(8):
            y = speak(line, signal(0.13))
            clock.now += 0.13
        assert y.any() and line.status().drop_outs == 0


def test_what_came_while_playback_stalled_is_dropped(method, clock):
    """The delay must not stay longer."""
    with Line(method, SR, 1) as line:
        speak(line, signal(0.2))
        speak(line, signal(0.5), play=False)
        assert len(line._finished) > 0.4 * SR
        for _ in range(3):  # looks, of which the first may still know the reserve from before
            clock.now += 1.1
            speak(line, signal(0.2))
        assert len(line._finished) <= line._reserve + 2 * BLOCK + 0.05 * SR


def test_a_drop_out_while_the_reserve_is_watched(method):
    """The playback callback may come at any moment of the worker's look."""

    class Interrupting(Ring):
        def __len__(self):
            if line._playing:
                line._playing, line._leasts = False, []
            return super().__len__()

    line = Line(method, SR, 1)
    line._playing, line._finished = True, Interrupting(SR, 1)
    line._look()
    assert not line._leasts


@pytest.mark.parametrize("faster", [-1, 1])
def test_two_clocks_are_brought_together(method, monkeypatch, faster):
    """Capture that is a little faster or slower than playback: the reserve stays, nothing drops out, nothing clicks."""
    monkeypatch.setattr("undin.live.line.LOOK_S", 0.0)
    monkeypatch.setattr("undin.live.line.DRIFT_S", 0.001)
    monkeypatch.setattr("undin.live.line.DRIFT", 0.02)
    n = BLOCK + faster
    x = (0.3 * np.sin(2 * np.pi * 130 * np.arange(800 * n) / SR)).astype(np.float32)[:, None]
    y = np.zeros((800 * BLOCK, 1), np.float32)
    with Line(method, SR, 1, Controls(raw=True), reserve_s=0.04) as line:
        for i in range(800):
            hand_over(line, x[i * n : (i + 1) * n])
            line.play(y[i * BLOCK : (i + 1) * BLOCK])
        assert line.status().drop_outs == 0
        assert np.abs(np.diff(y, axis=0)).max() < 1.5 * np.abs(np.diff(x, axis=0)).max()
        assert abs(len(line._finished) - line._reserve) < 0.02 * SR  # without, 800 samples away


def test_resized_keeps_ends_and_shape():
    y = np.stack([np.linspace(0, 1, 160), np.linspace(1, -1, 160)], 1).astype(np.float32)
    z = resized(y, 161)
    assert z.shape == (161, 2) and z.dtype == np.float32
    np.testing.assert_allclose(z[[0, -1]], y[[0, -1]])
    np.testing.assert_allclose(np.diff(z[:, 0]), 1 / 160, rtol=1e-3)


def test_levels_and_load_are_shown(method):
    x = signal(0.3)
    with Line(method, SR, 1) as line:
        speak(line, x)
        until(lambda: line._peaks[0] > 0)
        status = line.status()
    assert status.input == pytest.approx(np.abs(x).max(), rel=0.5) and status.output > 0 and status.load > 0
    assert line.status().input == 0


def test_the_load_is_processing_time_by_duration(method, monkeypatch):
    with Line(method, SR, 1) as line:
        process = line._stream.process

        def slow(*args, **settings):
            time.sleep(3 * BLOCK / SR)
            return process(*args, **settings)

        monkeypatch.setattr(line._stream, "process", slow)
        speak(line, signal(0.5))
        followed = line.status().load
        monkeypatch.setattr("undin.live.line.FOLLOW", 1.0)
        speak(line, signal(0.02))
        assert followed > 2 and line.status().load >= 3


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e30])
def test_invalid_samples_are_silence(method, bad):
    x = signal(0.1)
    x[5] = bad
    with Line(method, SR, 1, Controls(raw=True)) as line:
        assert not line.controls.repaired
        assert np.abs(speak(line, x)).max() < 1
        assert line.is_alive() and line.controls.repaired
        assert line.status().input < 1


def test_a_device_that_stops_calling_is_lost(method, monkeypatch, clock):
    monkeypatch.setattr("undin.live.line.STALL_S", STALL_S)
    with Line(method, SR, 1) as line:
        clock.now += 1.9
        assert line.is_alive()
        speak(line, signal(0.1))
        clock.now += 1.9
        assert line.is_alive()
        clock.now += 0.2
        assert not line.is_alive()
        line.capture(np.zeros((BLOCK, 1), np.float32))  # playback does not come back
        assert not line.is_alive()


def test_errors_of_the_method_end_the_run(method, monkeypatch):
    def fail(*_, **__):
        raise InputError("broken")

    with Line(method, SR, 1) as line:
        monkeypatch.setattr(line._stream, "process", fail)
        line.capture(np.zeros((BLOCK, 1), np.float32))
        with pytest.raises(InputError, match="broken"):
            until(lambda: not line.is_alive())


def test_methods_that_separate_are_refused():
    with pytest.raises(InputError):
        Line(undin.load("blstm-mask"), SR, 1)


def test_ring_gives_what_it_took_in_order():
    rng, ring, given, taken = np.random.default_rng(0), Ring(100, 2), [], []
    for _ in range(200):
        x = rng.standard_normal((int(rng.integers(0, 60)), 2)).astype(np.float32)
        n_free = 100 - len(ring)
        assert ring.write(x) == (len(x) <= n_free)
        given.append(x[:n_free])
        taken.append(ring.read(int(rng.integers(0, 60))))
    taken.append(ring.read(100))
    assert len(ring) == 0
    np.testing.assert_array_equal(np.concatenate(given), np.concatenate(taken))
