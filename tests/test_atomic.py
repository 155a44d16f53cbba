"""Files appear complete or not at all, whatever others plant next to them, and what the dead have left goes."""

import errno
import os
import subprocess
import sys
import time

import pytest

from undin import atomic
from undin.atomic import OLD_S, PART, atomic_write, clear_parts, open_part

posix = pytest.mark.skipif(os.name != "posix", reason="asks a process by a signal whether it lives")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("né\n")
        file.flush()
        assert path.read_text() == "old" and all(name.startswith(".") for name in names(tmp_path) if name != "a.csv")
    assert path.read_bytes() == "né\n".encode() and names(tmp_path) == ["a.csv"]
    with atomic_write(path, "wb") as file:
        file.write(b"\xff")
    assert path.read_bytes() == b"\xff" and (os.name != "posix" or path.stat().st_mode & 0o777 == 0o666 & ~umask())


def umask():
    os.umask(found := os.umask(0))
    return found


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failed_write_keeps_the_old_file(tmp_path, error):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as file:
        file.write("ne")
        raise error
    assert path.read_text() == "old" and names(tmp_path) == ["a.csv"]


def test_a_full_disk_says_which_file(tmp_path):
    with pytest.raises(OSError) as caught, atomic_write(tmp_path / "a.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a.csv") and names(tmp_path) == []


def test_a_link_stays_one(tmp_path):
    (tmp_path / "far").mkdir()
    file, link = tmp_path / "far/a.csv", tmp_path / "a.csv"
    link.symlink_to(file)
    with atomic_write(link) as new:
        new.write("new")
    assert link.is_symlink() and file.read_text() == "new" and names(tmp_path / "far") == ["a.csv"]


def test_no_link_that_others_plant_is_followed(tmp_path, monkeypatch):
    """Not where a name was guessed, nor where the file is exchanged for a link once it is there."""
    victim, path = tmp_path / "victim", tmp_path / "a.csv"
    victim.write_text("precious")
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda n: "00" * n)
    part, file = open_part(path)
    file.close()
    part.unlink()
    part.symlink_to(victim)
    with pytest.raises(FileExistsError), atomic_write(path) as file:
        file.write("evil")
    part.unlink()
    with atomic_write(path) as file:
        part.unlink()
        part.symlink_to(victim)
        file.write("evil")
    assert victim.read_text() == "precious"


def test_names_cannot_be_guessed(tmp_path):
    found = {part.name for part, file in (open_part(tmp_path / "a.wav") for _ in range(9)) if not file.close()}
    assert len(found) == 9 and all(PART.fullmatch(name) for name in found)


def test_the_longest_name_can_be_written_and_a_longer_one_is_refused_at_once(tmp_path):
    path = tmp_path / ("é" * 125 + "a.csv")
    with atomic_write(path) as file:
        file.write("x")
    assert path.read_text() == "x"
    with pytest.raises(OSError, match="name too long") as caught, atomic_write(tmp_path / ("é" * 126 + "a.csv")):
        raise AssertionError("was opened")
    assert caught.value.errno == errno.ENAMETOOLONG and len(names(tmp_path)) == 1


@pytest.fixture(scope="module")
def dead():
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_two_machines_of_one_name_differ(tmp_path, monkeypatch):
    found = set()
    for i in range(2):
        monkeypatch.setattr(atomic, "BOOT", tmp_path / f"{i}")
        found.add(atomic.this_machine.__wrapped__())
        (tmp_path / f"{i}").write_text(f"{i}")
        found.add(atomic.this_machine.__wrapped__())
    assert len(found) == 3  # and the one that does not tell


@posix
@pytest.mark.parametrize("below", [False, True])
def test_parts_of_the_dead_go(tmp_path, dead, below):
    (tmp_path / "in").mkdir()
    here, now = atomic.this_machine(), time.time()
    left = [
        f".undin-{here}-{dead}-0a.part",
        f".undin-0123abcd-{os.getpid()}-0a.part",
        f"in/.undin-{here}-{dead}-0.part",
    ]
    stay = [
        f".undin-{here}-{os.getpid()}-0a.part", f".undin-{here}-{10**30}-0a.part", f".undin-0123abcd-{dead}-0a.part",
        f".a.wav.{dead}.part", f"undin-{here}-{dead}-0a.part", f".undin-{here}-{dead}-0a.part.wav",
    ]  # fmt: skip
    for name in (*left, *stay):
        (tmp_path / name).touch()
    os.utime(tmp_path / left[1], (now, now - OLD_S - 60))
    clear_parts(tmp_path, below=below)
    clear_parts(tmp_path / "gone", below=below)
    assert all((tmp_path / name).exists() for name in stay)
    assert [(tmp_path / name).exists() for name in left] == [False, False, not below]
