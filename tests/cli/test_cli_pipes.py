"""Pipes, signals and full disks: cases that need a separate process."""

import os
import pty
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli_files import names, write

from undin import corpora

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")


def header(n_samples):
    """Of a WAV of n_samples at 16 kHz, 16 bits."""
    head = struct.pack("<4sI4s", b"RIFF", 36 + 2 * n_samples, b"WAVE")
    return head + struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", 2 * n_samples)


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def midway(shell, here):
    """A process in the middle of a long file."""
    process = shell("enhance", "-", "-o", "long.wav")
    process.stdin.write(header(100_000_000) + bytes(64000))
    process.stdin.flush()
    wait_for(lambda: len(started(here)) == 1)
    return process


def started(folder):
    """Files that are being written."""
    return [path for path in folder.glob(".*.part") if path.stat().st_size]


def test_a_pipe_gives_the_output_of_the_file(undin, shell, here):
    undin("enhance", "a.wav", "--fast", "-q")
    wav, enhanced = Path("a.wav").read_bytes(), Path("a.enhanced.wav").read_bytes()
    assert header(8000) == wav[:44]
    through, err = shell("enhance", "-", "-q").communicate(wav)
    assert through == enhanced and err == b""
    raw, _ = shell("enhance", "-", "--raw", "s16le:16000:1").communicate(wav[44:])
    assert raw == enhanced[44:]
    out, err = shell("enhance", "a.wav", "-o", "-", stdin=None).communicate()
    assert out == enhanced and err.startswith(b"a.wav -> standard output   0.5 s")


def test_a_pipe_answers_before_it_ends(shell, here):
    process = shell("enhance", "-", "--raw", "s16le:16000:1")
    process.stdin.write(b"\1\0" * 16000)
    process.stdin.flush()
    assert len(process.stdout.read(2 * (16000 - 512))) == 2 * (16000 - 512)  # all but the frame that is still open
    process.stdin.close()
    assert len(process.stdout.read()) == 2 * 512
    assert process.wait() == 0
    process.stdin = None  # nothing more for communicate() to flush


def test_standard_input_that_ends_early(shell, here):
    out, err = shell("enhance", "-", "-o", "b.wav").communicate(header(16000) + bytes(16000))
    assert out == b"" and err.startswith(b"undin: ") and b"ends 16000 bytes too early" in err and err.count(b"\n") == 1
    process = shell("enhance", "-")
    assert b"is empty (0 bytes)" in process.communicate(b"")[1] and process.returncode == 2
    assert names(here) == ["a.wav"]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("enhance - <&-", 2, "undin: standard input is empty (0 bytes)\n"),
        ("enhance a.wav >&-", 0, ""),
        ("enhance nowhere.wav 2>&-", 2, ""),
    ],
)
def test_closed_streams(here, line, code, message):
    done = subprocess.run(["sh", "-c", f"{sys.executable} -m undin {line}"], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (code, message)


def test_names_in_another_encoding_can_be_printed(shell, here):
    Path("a.wav").rename(os.fsdecode(b"\xff.wav"))
    process = shell("enhance", ".", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    out, err = process.communicate()
    assert b"\\udcff.wav" in out + err and b"Traceback" not in err


def test_a_reader_that_goes_away_makes_no_noise(shell, here):
    process = shell("enhance", "-", "--raw", "s16le:16000:1", "-q")
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(bytes(640_000))
    assert (process.returncode, err) == (1, b"")


def test_sound_is_not_poured_on_a_terminal(shell, here):
    ours, theirs = pty.openpty()
    for args, pipes in ((["-"], {"stdin": theirs}), (["a.wav", "-o", "-"], {"stdout": theirs})):
        process = shell("enhance", *args, **pipes)
        _, err = process.communicate()
        assert process.returncode == 2 and b"is a terminal" in err and err.count(b"\n") == 1
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("args", [["a.wav", "a.flac"], ["-", "-o", "b.wav"]])
def test_a_terminal_gets_a_bar_in_seconds_of_audio(shell, here, args):
    write("a.flac")
    ours, theirs = pty.openpty()
    process = shell("enhance", *args, stderr=theirs)
    out, _ = process.communicate(Path("a.wav").read_bytes())
    assert process.returncode == 0 and b"0.5 s at 16000 Hz" in out and b"\x1b" not in out
    assert b"s of audio" in os.read(ours, 1 << 16)
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("number", "code", "message", "n_lines"),
    [(signal.SIGINT, 130, b"undin: interrupted; ", 1), (signal.SIGTERM, 143, b"", 0), (signal.SIGHUP, 129, b"", 0)],
)
def test_an_interruption_leaves_nothing(midway, here, number, code, message, n_lines):
    midway.send_signal(number)
    assert midway.wait(10) == code
    err = midway.stderr.read()
    assert err.startswith(message) and err.count(b"\n") == n_lines
    assert names(here) == ["a.wav"]


def test_a_kill_leaves_no_output_and_the_next_run_clears_up(midway, undin, here):
    midway.kill()
    midway.wait()
    assert [name for name in names(here) if not name.startswith(".")] == ["a.wav"]
    assert undin("enhance", "a.wav", "-o", "long.wav").code == 0
    assert names(here) == ["a.wav", "long.wav"]


def test_a_full_disk_leaves_nothing(shell, here, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # it would be cut off too
    write("b.wav", seconds=4)
    limit = (40_000, 40_000)
    process = shell("enhance", "b.wav", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    out, err = process.communicate()
    assert process.returncode in (1, 2) and out == b""
    assert err.startswith(b"undin: ") and b"cannot be written: File too large" in err and err.count(b"\n") == 1
    assert names(here) == ["a.wav", "b.wav"]


@pytest.fixture
def two_workers(shell, here):
    """A process whose two workers are in the middle of long files."""
    Path("in").mkdir()
    for name in ("in/1.wav", "in/2.wav"):
        write(name, seconds=120)
    process = shell("enhance", "in", "-o", "out", "--workers", "2", start_new_session=True)
    wait_for(lambda: len(started(here / "out")) == 2)
    return process


def test_an_interruption_ends_the_workers_too(two_workers):
    os.killpg(two_workers.pid, signal.SIGINT)  # as a terminal does: to all of them
    assert two_workers.wait(10) == 130
    assert two_workers.stderr.read().startswith(b"undin: interrupted; ")
    assert names(Path("out")) == []


def test_workers_do_not_outlive_a_parent_that_is_killed(two_workers):
    two_workers.kill()
    wait_for(lambda: not names(Path("out")))


def film(path):
    """One second of a picture with sound."""
    av = pytest.importorskip("av", reason="the extra video is not installed")
    with av.open(path, "w") as container:
        picture = container.add_stream("mpeg4", rate=5)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        y = av.AudioFrame.from_ndarray(np.full((1, 16000), 0.1, np.float32), format="fltp", layout="mono")
        y.sample_rate = 16000
        frames = [av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24") for _ in range(5)]
        for stream, those in ((picture, frames), (sound, [y])):
            for packet in [packet for frame in (*those, None) for packet in stream.encode(frame)]:
                container.mux(packet)


def test_a_video_on_a_pipe_does_not_lose_its_picture_silently(shell, here):
    film("a.mp4")
    process = shell("enhance", "-", "-o", "b.mp4")
    out, err = process.communicate(Path("a.mp4").read_bytes())
    assert (process.returncode, out, err.count(b"\n")) == (2, b"", 1)
    assert b"b.mp4: the video stream cannot be kept in a pipe: use the file name" in err
    process = shell("enhance", "-", "-o", "b.wav")
    process.communicate(Path("a.mp4").read_bytes())
    assert process.returncode == 0 and names(here) == ["a.mp4", "a.wav", "b.wav"]


@pytest.mark.parametrize("given", [None, "2"])
def test_linear_algebra_takes_one_thread_by_default(here, given):
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"OMP_NUM_THREADS": given} if given else {}
    code = f"import atexit, os; atexit.register(lambda: print(*map(os.environ.get, {names}))); "
    code += "from undin.cli import main; main(['models', '--json'])"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"1 {given or 1} 1"


def test_a_closed_output_is_an_error_where_sound_or_json_belongs_there(shell, here):
    def close():
        os.close(1)

    for args in (["-"], ["a.wav", "-o", "-"], ["a.wav", "--json"]):
        process = shell("enhance", *args, preexec_fn=close)
        _, err = process.communicate(Path("a.wav").read_bytes())
        assert process.returncode == 2 and err.startswith(b"undin: standard output is closed") and err.count(b"\n") == 1
    process = shell("enhance", "a.wav", preexec_fn=close)
    assert process.communicate()[1] == b"" and process.returncode == 0 and Path("a.enhanced.wav").exists()


def test_names_do_not_command_the_terminal(shell, undin, here):
    name, shown = "a\x1b[31m\x9b\u202e.wav", rb"a\x1b[31m\x9b\u202e"
    Path("a.wav").rename(name)
    Path("in").mkdir()
    for args in (["enhance", name], ["check", name], ["compare", name, "-o", "c.html"], ["enhance", f"no{name}"]):
        out, err = shell(*args).communicate()
        assert shown in out + err and b"\x1b" not in out + err and "\x9b".encode() not in out + err
    from undin.cli import show

    console = show.console()
    with console.capture() as text:
        console.print(name)
    assert text.get() == r"a\x1b[31m\x9b\u202e.wav" + "\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_starts_ends_it_as_any_other(shell, here, number):
    """A module that is imported at the start waits here for the signal."""
    Path("typer.py").write_text("import pathlib, time; pathlib.Path('started').touch(); time.sleep(60)")
    process = shell("models", env={**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"})
    wait_for(Path("started").exists)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (128 + number, b"", b"")


@pytest.mark.parametrize(
    "args", [["enhance", "in", "-o", "out"], ["check", "in"], ["corpus", "in"], ["pack", "in", "-o", "x.pack"]]
)
def test_folders_take_regular_files_only(shell, here, args):
    """A named pipe would be waited for: none of them is opened, and each is named."""
    for folder in ("in/speaker", "in/noise/DKITCHEN"):
        Path(folder).mkdir(parents=True)
        os.link("a.wav", f"{folder}/a.wav")
    os.mkfifo("in/speaker/pipe.wav")
    Path("in/speaker/link.wav").symlink_to("pipe.wav")
    Path("in/speaker/good.wav").symlink_to("a.wav")
    process = shell(*args)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 0, err
    for name in (b"pipe", b"link"):
        assert b"undin: note: in/speaker/%s.wav: skipped: not a regular file\n" % name in err
    assert err.count(b"skipped") == 2


def test_a_full_disk_is_blamed_on_the_file_that_did_not_fit(shell, undin, here, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert undin("mix", "-o", "mixed", "--n", 12, "--manifest-only").code == 0
    args = ["mixed/manifest.csv", "--data", Path(corpora.__file__).parent.parent / "mini", "--metrics", "si_sdr_db"]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))  # noqa: E731
    process = shell("evaluate", *args, "-m", "spectral-gate", "-o", "eval", preexec_fn=limit)
    _, err = process.communicate()
    assert process.returncode == 1 and err.startswith(b"undin: ") and err.count(b"\n") == 1
    assert b"eval/scores.csv: File too large" in err


def test_a_name_that_is_not_utf8_can_be_compared_and_is_skipped_in_a_corpus(shell, here):
    Path("in/tom").mkdir(parents=True)
    odd = b"\xff.wav"
    Path("in/tom/a.wav").write_bytes(Path("a.wav").read_bytes())
    Path(os.fsdecode(b"in/tom/" + odd)).write_bytes(Path("a.wav").read_bytes())
    assert shell("compare", os.fsdecode(b"in/tom/" + odd), "-o", "c.html").wait(60) == 0
    assert r"\udcff.wav" in Path("c.html").read_text(encoding="utf-8")
    process = shell("corpus", "in")
    _, err = process.communicate()
    assert process.returncode == 0 and rb"in/tom/\udcff.wav: skipped: its name is not valid UTF-8: rename it" in err


def test_headerless_samples_on_a_pipe_name_the_option(shell, here):
    process = shell("enhance", "-", "-m", "spectral-gate")
    _, err = process.communicate(b"\1\0" * 16000)
    assert process.returncode == 2
    assert b"if it is headerless samples, pass --raw s16le:16000:1 or what they are" in err
