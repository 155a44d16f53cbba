import os
from pathlib import Path

import pytest

from undin.errors import InputError
from undin.jobs import NOTES, Task, plan


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.wav", "in/deep/b.FLAC", "in/.hidden.wav", "in/.git/c.wav", "in/text.txt", "a.wav", "b.ogg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(name.encode())
    Path("in/bare").write_bytes(b"RIFF0000WAVE")
    Path("in/other").write_bytes(b"no sound")
    return tmp_path


def pairs(tasks):
    return [(task.source, *task.outputs) for task in tasks]


def test_results_lie_beside_their_input(tree):
    assert pairs(plan(["a.wav"])) == [("a.wav", "a.enhanced.wav")]
    assert pairs(plan(["a.wav", "b.ogg"])) == [("a.wav", "a.enhanced.wav"), ("b.ogg", "b.enhanced.ogg")]
    assert plan(["a.wav"], n_src=2) == [Task("a.wav", ("a.1.wav", "a.2.wav"))]


def test_a_tree_is_mirrored_with_its_audio_only(tree):
    assert pairs(plan(["in"], "out")) == [
        ("in/a.wav", "out/a.wav"), ("in/bare", "out/bare"), ("in/deep/b.FLAC", "out/deep/b.FLAC")
    ]  # fmt: skip


def test_several_files_go_into_a_folder(tree):
    assert pairs(plan(["a.wav", "b.ogg"], "new")) == [("a.wav", "new/a.wav"), ("b.ogg", "new/b.ogg")]
    assert pairs(plan(["a.wav"], "new/")) == [("a.wav", "new/a.wav")]
    assert pairs(plan(["a.wav"], "in/deep")) == [("a.wav", "in/deep/a.wav")]


def test_one_file_goes_where_it_is_told(tree):
    assert pairs(plan(["a.wav"], "o.flac")) == [("a.wav", "o.flac")]
    assert pairs(plan(["a.wav"], "o.flac", n_src=2)) == [("a.wav", "o.1.flac", "o.2.flac")]


def test_residual_and_picture_lie_beside_the_output(tree):
    assert plan(["a.wav"], residual=True, picture=True) == [
        Task("a.wav", ("a.enhanced.wav",), "a.residual.wav", "a.enhanced.png")
    ]
    assert plan(["a.wav"], "new/", residual=True)[0].residual == "new/a.residual.wav"


def test_pipes(tree):
    assert pairs(plan(["-"])) == [("-", "-")]
    assert pairs(plan(["a.wav"], "-")) == [("a.wav", "-")]
    assert pairs(plan(["-"], "o.wav", residual=True)) == [("-", "o.wav", "o.residual.wav")]
    assert pairs(plan(["-"], "o.wav", n_src=2)) == [("-", "o.1.wav", "o.2.wav")]


def test_our_own_outputs_and_the_output_folder_are_no_inputs(tree):
    Path("in/a.enhanced.wav").touch()
    Path("in", NOTES).write_text('{"output": "a.enhanced.wav"}\n')
    Path("in/out").mkdir()
    Path("in/out/z.wav").touch()
    assert [task.source for task in plan(["in"], "in/out")] == ["in/a.wav", "in/bare", "in/deep/b.FLAC"]
    assert plan(["in/a.enhanced.wav"])  # named, so meant


@pytest.mark.parametrize(
    ("inputs", "output", "settings", "message"),
    [
        ([], None, {}, "at least one file"),
        (["nope.wav"], None, {}, "nope.wav: no such file"),
        (["in/.git", "a.wav"], "a.wav", {}, "must be a folder for several inputs; a.wav is a file"),
        (["in"], "a.wav", {}, "a.wav is a file"),
        (["a.wav"], "out", {}, r"extension \(out.wav\) or a folder \(out/\); got out"),
        (["a.wav", "in/a.wav"], "out", {}, "a.wav and in/a.wav would both write out/a.wav"),
        (["a.wav", "a.wav"], None, {}, "would both write"),
        (["a.wav"], "a.wav", {}, "a.wav is the input a.wav itself"),
        (["a.wav"], "./in/../a.wav", {}, "is the input a.wav itself"),
        (["in"], "in", {}, "is the input in/a.wav itself"),
        (["-", "a.wav"], None, {}, "a pipe carries one file"),
        (["in"], "-", {}, "a pipe carries one file"),
        (["-"], "in", {}, "no name to keep in the folder in"),
        (["-"], None, {"n_src": 2}, "one pipe carries one signal"),
        (["a.wav"], "-", {"residual": True}, "one pipe carries one signal"),
        (["-"], "o.wav", {"picture": True}, "a picture needs files"),
    ],
)
def test_clashes_are_refused_beforehand(tree, inputs, output, settings, message):
    with pytest.raises(InputError, match=message):
        plan(inputs, output, **settings)


def test_a_folder_without_audio_is_refused(tree):
    Path("empty").mkdir()
    with pytest.raises(InputError, match="empty holds no audio file"):
        plan(["empty"])


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_input_is_not_overwritten_through_a_link(tree, link):
    link("a.wav", "same.wav")
    with pytest.raises(InputError, match=r"same.wav is the input a.wav itself"):
        plan(["a.wav"], "same.wav")


def test_two_names_of_one_output_are_one_output(tree):
    Path("o1.wav").touch()
    Path("x").mkdir()
    Path("x/a.wav").symlink_to("../o1.wav")
    Path("x/b.ogg").symlink_to("../o1.wav")
    with pytest.raises(InputError, match=r"a.wav and b.ogg would both write x/b.ogg"):
        plan(["a.wav", "b.ogg"], "x")


def test_devices_are_not_replaced(tree):
    os.mkfifo("pipe.wav")
    with pytest.raises(InputError, match=r"pipe.wav is no regular file"):
        plan(["a.wav"], "pipe.wav")
