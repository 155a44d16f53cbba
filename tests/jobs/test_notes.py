import json
import os

import numpy as np
import pytest

from undin.jobs.notes import NOTES, FileSettings, Notebook, add, describe
from undin.methods import load
from undin.provenance import fingerprint


@pytest.fixture
def output(tmp_path):
    path = tmp_path / "o.wav"
    path.write_bytes(b"sound")
    return path


def test_the_last_note_counts_and_torn_lines_do_not(output):
    add(str(output), {"key": "1"})
    with (output.parent / NOTES).open("a") as file:
        file.write('{"output": "o.wav", "key": "to')  # a crash in the middle of a line
    notebook = Notebook()
    assert notebook.of(output)["key"] == "1"
    add(str(output), {"key": "2"})
    mtime_ns = output.stat().st_mtime_ns
    note = {"output": "o.wav", "size": 5, "mtime_ns": mtime_ns, "key": "2"}
    assert notebook.of(output) == note == Notebook().of(output)


def test_strange_lines_are_ignored(output):
    (output.parent / NOTES).write_bytes(b'\xff\xfe\n[]\n3\n{"other": 1}\nnull\n')
    notebook = Notebook()
    assert notebook.of(output) is None and notebook.of(output.with_name("other")) is None


def test_standing(output, tmp_path):
    def standing(key="1", path=output):
        return Notebook().standing(str(path), key)

    assert standing(path=tmp_path / "none.wav") == "absent"
    assert standing() == "foreign"
    add(str(output), {"key": "1"})
    assert standing() == "same"
    assert standing("2") == "other"
    assert standing(None) == "other"
    output.write_bytes(b"edited by hand")
    assert standing() == "foreign"


def test_an_output_edited_at_the_same_length_is_not_ours(output):
    add(str(output), {"key": "1"})
    mtime_ns = output.stat().st_mtime_ns
    output.write_bytes(b"noise")
    os.utime(output, ns=(mtime_ns, mtime_ns + 1))
    assert Notebook().standing(str(output), "1") == "foreign"


def test_the_key_follows_all_that_shapes_the_output(output):
    def key(settings=None, **config):
        return describe(str(output), fingerprint(load("log-mmse", **config)), settings or FileSettings())["key"]

    first = key()
    assert key() == first
    others = [key(FileSettings(limit_db=12)), key(FileSettings(nan="zero")), key(gain_floor_db=-10)]
    os.utime(output, ns=(1, 1))
    others.append(key())
    output.write_bytes(b"sounds")
    os.utime(output, ns=(1, 1))
    others.append(key())
    assert len({first, *others}) == 6


def test_learned_arrays_count(output):
    prints = []
    for learned in (None, np.zeros(3), np.ones(3), (np.full(3, 2.0), np.ones(2)), {"W": [np.full(3, 3.0)]}):
        method = load("log-mmse")
        method.learned = learned
        prints.append(fingerprint(method)["weights"])
        assert fingerprint(method)["weights"] == prints[-1]
    assert len(set(prints)) == 5


def test_a_pipe_is_never_the_same(output):
    note = describe("-", fingerprint(load("log-mmse")), FileSettings())
    assert note["key"] is None
    assert json.dumps(note, default=str)


def test_notes_without_a_loudness_are_those_of_earlier_versions():
    assert "loudness" not in FileSettings().as_dict() and FileSettings(loudness=-16).as_dict()["loudness"] == -16
