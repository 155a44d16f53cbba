"""Files in the making: whole or not at all, and what the dead have left goes."""

import os
import subprocess
import sys

import pytest

from undin.parts import clear_parts, clear_parts_below, part_of, whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with whole(path) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.name.startswith(".")
    assert path.read_text() == "new" and names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_one(tmp_path, error):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(error), whole(path) as part:
        part.write_text("ne")
        raise error
    assert path.read_text() == "old" and names(tmp_path) == ["a.csv"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "far").mkdir()
    file, link = tmp_path / "far/a.csv", tmp_path / "a.csv"
    link.symlink_to(file)
    with whole(link) as part:
        part.write_text("new")
    assert link.is_symlink() and file.read_text() == "new" and names(tmp_path / "far") == ["a.csv"]


@pytest.fixture(scope="module")
def dead():
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_parts_of_the_dead_go(tmp_path, dead):
    path = tmp_path / "a[1].wav"
    left = [f".a[1].wav.{dead}.part", f".a[1].wav.{10**30}.part"]
    others = [part_of(path).name, ".a[1].wav.x.part", f".b.wav.{dead}.part", "a[1].wav.part"]
    for name in (*left, *others):
        (tmp_path / name).touch()
    clear_parts(path)
    assert names(tmp_path) == sorted([*others, left[1]] if os.name == "posix" else [*others, *left])


def test_below_a_folder_only_old_parts_go(tmp_path, dead):
    (tmp_path / "in").mkdir()
    old, young, ours = (
        tmp_path / name for name in (f"in/.a.flac.{dead}.part", f".b.flac.{dead}.part", f".c.flac.{os.getpid()}.part")
    )
    for path in (old, young, ours):
        path.touch()
    for path in (old, ours):
        os.utime(path, (1, 1))
    clear_parts_below(tmp_path)
    assert [path.exists() for path in (old, young, ours)] == [os.name != "posix", True, True]
