"""The same outcomes wherever the work is done; a worker that dies, raises or hangs does no more harm than it must."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import closing, suppress
from functools import partial
from itertools import islice

import pytest

from undin.errors import InputError
from undin.workers import AHEAD, Here, Intake, Processes, WorkerDied, executor

posix = pytest.mark.skipif(os.name != "posix", reason="sends signals")


def squares(progress):
    return square


def square(x):
    return x * x


def naps(progress):
    """The earlier an item, the longer it takes."""
    return lambda i: time.sleep(0.3 if i == 0 else 0.01) or i


def first_ends_last(folder, n_files, progress):
    """Item 0 takes until there are n files: one of each other item, one of each outcome that the caller has seen."""

    def work(i):
        if i:
            (folder / str(i)).touch()
        while not i and len(list(folder.iterdir())) < n_files:
            time.sleep(0.01)
        return i

    return work


def counted(progress, made=[]):  # noqa: B006 (of the process)
    made.append(1)
    return lambda _: (os.getpid(), len(made))


def fatal(progress):
    return lambda i: os._exit(7) if i == 3 else i


def raises(error, words, progress):
    def work(i):
        raise error(*words)

    return work


class Stubborn(Exception):
    """Pickles, but does not come back."""

    def __init__(self, a, b):
        super().__init__(f"{a}{b}")


class Poison:
    """Kills the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (3,)

    def __call__(self, progress):
        return square


def talks(progress):
    def work(seconds):
        progress(seconds)
        warnings.warn(f"{seconds} s", stacklevel=1)
        return threads()

    return work


def threads():
    return [os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")]


def sleeps(progress):
    """Says who it is in seconds of audio, and never ends."""

    def work(_):
        progress(float(os.getpid()))
        time.sleep(600)

    return work


@pytest.mark.parametrize("pool", [Here(), Processes(2)])
def test_every_item_has_its_outcome(pool):
    assert sorted(pool.map(squares, range(9))) == [(i, i * i) for i in range(9)]
    assert list(pool.map(squares, range(9), ordered=True)) == [(i, i * i) for i in range(9)]
    assert list(pool.map(squares, [])) == []


def test_outcomes_come_in_order_or_as_they_are_ready(tmp_path):
    for ordered, wanted in ((True, [0, 1, 2, 3, 4]), (False, [1, 2, 3, 4, 0])):
        (folder := tmp_path / str(ordered)).mkdir()
        found, make = [], partial(first_ends_last, folder, 4 if ordered else 8)
        for i, _ in Processes(2).map(make, range(5), ordered=ordered):
            found.append(i)
            (folder / f"seen {i}").touch()
        assert found == wanted


@pytest.mark.parametrize("ordered", [True, False])
def test_an_endless_list_is_read_as_needed(ordered):
    taken = itertools.count()
    with closing(Processes(2).map(naps, taken, ordered=ordered)) as outcomes:
        assert len(list(islice(outcomes, 8))) == 8
    assert next(taken) <= 8 + 2 * AHEAD + 2


def test_a_worker_is_made_ready_once():
    found = [outcome for _, outcome in Processes(2).map(counted, range(20))]
    assert {n for _, n in found} == {1} and len({pid for pid, _ in found}) <= 2 and os.getpid() not in dict(found)


@posix
def test_workers_stay_for_the_next_items_and_end_with_their_pool():
    pool = Processes(2)
    pids = {pid for _, (pid, _) in pool.map(counted, range(20))}
    again = {outcome for _, outcome in pool.map(counted, range(20))}
    assert {pid for pid, _ in again} <= pids and {n for _, n in again} == {2}
    assert list(pool.map(squares, range(3), ordered=True)) == [(0, 0), (1, 1), (2, 4)]
    assert all(map(is_alive, pids))
    del pool
    assert not any(map(is_alive, pids))


@pytest.mark.parametrize("ordered", [True, False])
def test_a_death_fails_its_item_alone(ordered):
    found = dict(Processes(2).map(fatal, range(8), ordered=ordered))
    assert isinstance(found[3], WorkerDied) and "its process ended with 7 (out of memory" in str(found.pop(3))
    assert found == {i: i for i in (0, 1, 2, 4, 5, 6, 7)}


def test_what_the_function_raises_is_raised_here():
    with pytest.raises(InputError, match="the disk is full") as caught:
        list(Processes(2).map(partial(raises, InputError, ["the disk is full"]), range(5)))
    assert "in work" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Stubborn: ab"):
        list(Processes(2).map(partial(raises, Stubborn, "ab"), range(5)))


def test_workers_that_cannot_start_end_the_run():
    with pytest.raises(WorkerDied, match="workers die at startup"):
        list(Processes(2).map(Poison(), range(100)))


@pytest.mark.filterwarnings("always")
def test_progress_and_warnings_come_here_and_blas_has_one_thread(monkeypatch, capfd):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "2")
    before, reports = threads(), []
    with pytest.warns(UserWarning) as warned:
        found = dict(Processes(2).map(talks, [1.0, 2.5, 4.0], progress=reports.append))
    assert sorted(reports) == [1.0, 2.5, 4.0] and {str(w.message) for w in warned} == {"1.0 s", "2.5 s", "4.0 s"}
    assert {w.filename for w in warned} == {__file__}
    assert list(found.values()) == [["1", "1", "1"]] * 3 and threads() == before
    assert capfd.readouterr().err == ""


def is_alive(pid):
    with suppress(ProcessLookupError):
        os.kill(int(pid), 0)
        return True
    return False


@posix
def test_an_interrupt_ends_the_workers(monkeypatch):
    monkeypatch.setattr("undin.workers.PATIENCE_S", 0.2)
    pids = []

    def interrupt():
        while len(pids) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(Processes(2).map(sleeps, range(5), progress=pids.append))
    thread.join()
    assert not any(map(is_alive, pids))


@posix
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import time\nfrom undin.workers import Processes\n"
        "def sleeps(progress):\n    import os\n    return lambda _: progress(float(os.getpid())) or time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    list(Processes(2).map(sleeps, range(5), progress=lambda pid: print(int(pid), flush=True)))\n"
    )
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(map(is_alive, pids))
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 30
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_alive, pids))


def test_where_to_work_is_a_number_or_an_executor():
    assert isinstance(executor(1), Here) and executor(3).n == 3
    own = Here()
    assert executor(own) is own
    with pytest.raises(InputError, match="workers must be at least 1; got 0"):
        executor(0)


@pytest.mark.parametrize("pool", [Here(), Processes(2)])
def test_a_closed_intake_lets_what_is_begun_end_and_nothing_in(pool):
    intake, found = Intake(), []
    for i, outcome in pool.map(squares, intake(itertools.count())):
        found.append((i, outcome))
        intake.is_open = len(found) < 5
    assert found == [(i, i * i) for i, _ in found] and 5 <= len(found) <= 5 + 2 and intake.has_left
    late = Intake(minutes=0)
    assert list(pool.map(squares, late(range(3)))) == [] and late.has_left
    early = Intake(minutes=1)
    assert len(list(pool.map(squares, early(range(3))))) == 3 and not early.has_left
