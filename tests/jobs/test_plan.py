import os
from pathlib import Path

import pytest

from undin.errors import InputError
from undin.jobs import FileTask, find_audio, plan
from undin.jobs.notes import add


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


def test_results_are_written_next_to_their_input(tree):
    assert pairs(plan(["a.wav"])) == [("a.wav", "a.enhanced.wav")]
    assert pairs(plan(["a.wav", "b.ogg"])) == [("a.wav", "a.enhanced.wav"), ("b.ogg", "b.enhanced.ogg")]
    assert plan(["a.wav"], n_src=2) == [FileTask("a.wav", ("a.1.wav", "a.2.wav"))]


def test_a_tree_is_mirrored_with_its_audio_only(tree):
    assert pairs(plan(["in"], "out")) == [
        ("in/a.wav", "out/a.wav"), ("in/bare", "out/bare"), ("in/deep/b.FLAC", "out/deep/b.FLAC")
    ]  # fmt: skip


def test_audio_in_a_format_that_cannot_be_written_becomes_m4a(tree):
    for name in ("in/c.aac", "in/deep/d.WMA"):
        Path(name).write_bytes(b"sound")
    found = dict(pairs(plan(["in"], "out")))
    assert (found["in/c.aac"], found["in/deep/d.WMA"]) == ("out/c.m4a", "out/deep/d.m4a")
    assert pairs(plan(["in/c.aac"])) == [("in/c.aac", "in/c.enhanced.m4a")]
    Path("in/c.m4a").write_bytes(b"sound")
    with pytest.raises(InputError, match=r"would both write out/c\.m4a"):
        plan(["in"], "out")


def test_several_files_go_into_a_folder(tree):
    assert pairs(plan(["a.wav", "b.ogg"], "new")) == [("a.wav", "new/a.wav"), ("b.ogg", "new/b.ogg")]
    assert pairs(plan(["a.wav"], "new/")) == [("a.wav", "new/a.wav")]
    assert pairs(plan(["a.wav"], "in/deep")) == [("a.wav", "in/deep/a.wav")]


def test_one_file_goes_to_the_path_given(tree):
    assert pairs(plan(["a.wav"], "o.flac")) == [("a.wav", "o.flac")]
    assert pairs(plan(["a.wav"], "o.flac", n_src=2)) == [("a.wav", "o.1.flac", "o.2.flac")]


def test_residual_and_picture_are_next_to_the_output(tree):
    assert plan(["a.wav"], residual=True, picture=True) == [
        FileTask("a.wav", ("a.enhanced.wav",), "a.residual.wav", "a.enhanced.png")
    ]
    assert plan(["a.wav"], "new/", residual=True)[0].residual == "new/a.residual.wav"


def test_pipes(tree):
    assert pairs(plan(["-"])) == [("-", "-")]
    assert pairs(plan(["a.wav"], "-")) == [("a.wav", "-")]
    assert pairs(plan(["-"], "o.wav", residual=True)) == [("-", "o.wav", "o.residual.wav")]
    assert pairs(plan(["-"], "o.wav", n_src=2)) == [("-", "o.1.wav", "o.2.wav")]


IN = ["in/a.wav", "in/bare", "in/deep/b.FLAC"]


def sources(*args, **settings):
    return [task.source for task in plan(*args, **settings)]


def noted(path, source):
    """Make an output that is noted as made of `source`."""
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_bytes(b"sound")
    add(path, {"input": str(Path.cwd() / source), "key": "1"})


def test_the_output_folder_is_not_an_input(tree):
    Path("in/out").mkdir()
    Path("in/out/z.wav").touch()
    assert sources(["in"], "in/out") == IN


def test_outputs_of_a_run_next_to_its_inputs_are_skipped_and_counted(tree):
    for name in ("a.enhanced.wav", "a.residual.wav", "deep/b.enhanced.FLAC"):
        Path("in", name).touch()
    with pytest.warns(UserWarning, match=r"^skipped 3 files that are undin's own output \(in/a.enhanced.wav \.\.\."):
        assert sources(["in"], residual=True) == IN
    assert sources(["in/a.wav", "in/a.residual.wav"])  # named, so meant
    assert len(sources(["in"], "out")) == 6  # nothing says that undin made them


def test_outputs_of_an_earlier_run_next_to_its_input_are_skipped(tree):
    noted("in/a.residual.wav", "in/a.wav")
    with pytest.warns(UserWarning, match=r"^skipped 1 file that is undin's own output \(in/a.residual.wav\)"):
        assert sources(["in"], "out") == IN
    Path("in/a.residual.wav").write_bytes(b"a recording of mine under that name")
    assert "in/a.residual.wav" in sources(["in"], "out")


def test_outputs_in_another_folder_are_inputs_like_any_other(tree):
    noted("s1/a.wav", "in/a.wav")
    noted("s1/a.residual.wav", "in/a.wav")
    assert sources(["s1"], "s2") == ["s1/a.residual.wav", "s1/a.wav"]


def test_a_missing_name_among_several_becomes_a_problem(tree):
    problem = "nope.wav: no such file: check the spelling and the folder you are in"
    assert plan(["a.wav", "nope.wav"], "out/")[1] == FileTask("nope.wav", (), problem=problem)


def test_a_folder_that_cannot_be_read_becomes_a_problem(tree, monkeypatch):
    iterdir = Path.iterdir

    def locked(path):
        if path.name == "deep":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", locked)
    tasks = plan(["in"], "out")
    assert [task.source for task in tasks] == ["in/deep", *IN[:2]]
    assert tasks[0].problem == "in/deep cannot be searched: Permission denied: change its permissions, or leave it out"
    with pytest.raises(PermissionError):
        list(find_audio(Path("in")))


def test_folders_behind_links_are_followed_once(tree):
    Path("store/data").mkdir(parents=True)
    Path("store/data/z.wav").touch()
    Path("store/up").symlink_to("../in")
    for name, target in (("in/link", "../store"), ("in/link2", "../store"), ("in/loop", "."), ("in/all", "..")):
        Path(name).symlink_to(target)
    assert sources(["in"], "out") == [*IN, "in/link/data/z.wav"]


def test_a_file_without_extension_keeps_its_name(tree):
    assert plan(["in/bare"], picture=True, residual=True) == [
        FileTask("in/bare", ("in/bare.enhanced",), "in/bare.residual", "in/bare.enhanced.png")
    ]


def test_several_files_do_not_go_into_a_folder_named_as_a_file(tree):
    assert sources(["a.wav", "b.ogg"], "one.wav/")


@pytest.mark.parametrize(
    ("inputs", "output", "settings", "message"),
    [
        ([], None, {}, "at least one file"),
        (["nope.wav"], None, {}, "nope.wav: no such file"),
        (["in/.git", "a.wav"], "a.wav", {}, "must be a folder for several inputs; a.wav is a file"),
        (["in"], "a.wav", {}, "a.wav is a file"),
        (["in"], "new.wav", {}, "must be a folder for several inputs; new.wav names a file: end it in /"),
        (["a.wav", "b.ogg"], "new.flac", {}, "must be a folder for several inputs; new.flac names a file"),
        (["a.wav"], "out", {}, r"extension \(out.wav\) or a folder \(out/\); got out"),
        (["a.wav", "in/a.wav"], "out", {}, "a.wav and in/a.wav would both write out/a.wav"),
        (["a.wav", "a.wav"], None, {}, "would both write"),
        (["a.wav"], "a.wav", {}, "a.wav is the input a.wav; use"),
        (["a.wav"], "./in/../a.wav", {}, "is the input a.wav; use"),
        (["in"], "in", {}, "is the input in/a.wav; use"),
        (["-", "a.wav"], None, {}, "a pipe carries one file"),
        (["in"], "-", {}, "a pipe carries one file"),
        (["-"], "in", {}, "no name to keep in the folder in"),
        (["-"], None, {"n_src": 2}, "a pipe carries one signal"),
        (["a.wav"], "-", {"residual": True}, "a pipe carries one signal"),
        (["-"], "o.wav", {"picture": True}, "a picture needs an input file"),
    ],
)
def test_clashes_are_refused_beforehand(tree, inputs, output, settings, message):
    with pytest.raises(InputError, match=message):
        plan(inputs, output, **settings)


def test_a_folder_without_audio_is_refused(tree):
    Path("empty").mkdir()
    with pytest.raises(InputError, match="empty has no audio files"):
        plan(["empty"])


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_input_is_not_overwritten_through_a_link(tree, link):
    link("a.wav", "same.wav")
    with pytest.raises(InputError, match=r"same.wav is the input a.wav; use"):
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
    with pytest.raises(InputError, match=r"pipe.wav is not a regular file"):
        plan(["a.wav"], "pipe.wav")
