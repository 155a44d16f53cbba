import json
from pathlib import Path

import pytest
import soundfile
from cli_files import write

from undin import corpora


@pytest.fixture
def voices(tmp_path, monkeypatch):
    """A talker and a noise in two splits."""
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(("speech/train/anna/1.wav", "speech/test/ben/1.wav", "noise/train/rain.wav")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write(name, seed=i)
    return tmp_path


def test_a_pack(undin, voices):
    code, out, err = undin("pack", "speech", "noise", "-o", "a.pack")
    assert (code, err) == (0, "") and out == "a.pack   3 clips, 0.0 min, 0.1 MB\n"
    packed = corpora.open("a.pack")
    assert len(packed.speech) == 2 and len(packed.noise) == 1
    x, _ = soundfile.read("noise/train/rain.wav", dtype="int16")
    assert (packed.load(packed.noise[0]) * 32768 == x).all()
    assert "skipped: already up to date" in undin("pack", "speech", "noise", "-o", "a.pack").out


def test_splits_rates_parts_and_json(undin, voices):
    args = ("pack", "speech", "noise", "-o", "a.pack", "--split", "train", "--sr", "8000", "--part-mb", "0.017")
    code, out, _ = undin(*args, "--json", "--workers", "2")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [row["path"] for row in rows] == ["a.1-of-2.pack", "a.2-of-2.pack"]
    assert [(row["status"], row["n_clips"], row["seconds"], row["left_out"]) for row in rows] == [
        ("done", 1, 0.5, [])
    ] * 2
    assert all(row["bytes"] == Path(row["path"]).stat().st_size for row in rows)
    packed = corpora.open_pack("a.1-of-2.pack", "a.2-of-2.pack")
    assert packed.sr == 8000 and {clip.split for clip in packed.rows} == {"train"}
    assert undin(*args, "-q").out == ""


def test_unreadable_files_are_named_and_skipped(undin, voices):
    raw = Path("speech/train/anna/1.wav").read_bytes()
    write("speech/train/anna/2.wav", subtype="FLOAT")
    data = bytearray(Path("speech/train/anna/2.wav").read_bytes())
    data[-4:] = b"\xff\xff\xff\x7f"  # not a number
    Path("speech/train/anna/2.wav").write_bytes(data)
    for _ in range(2):
        code, _, err = undin("pack", "speech", "-o", "a.pack")
        assert code == 1 and err.startswith("undin: speech/train/anna/2.wav: ") and err.endswith("; skipped\n")
        assert "finite" in err and err.count("\n") == 1
    assert len(corpora.open("a.pack")) == 2 and raw == Path("speech/train/anna/1.wav").read_bytes()


def test_check(undin, voices):
    undin("pack", "speech", "-o", "a.pack")
    assert undin("pack", "--check", "a.pack") == (0, "a.pack   intact\n", "")
    data = bytearray(Path("a.pack").read_bytes())
    data[5000] ^= 1
    Path("b.pack").write_bytes(data)
    code, out, err = undin("pack", "--check", "a.pack", "b.pack", "--json")
    assert code == 1 and err.startswith("undin: b.pack: its samples are damaged (checksum mismatch): copy it again, or")
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["done", "failed"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["speech"], "pack needs -o NAME.pack, the file to write"),
        (["speech", "-o", "a.wav"], "the name of a pack must end in .pack"),
        (["far", "-o", "a.pack"], "far: no such folder"),
        (["far.pack", "-o", "a.pack"], "far.pack: no such pack"),
        (["speech", "-o", "a.pack", "--split", "valid"], "split must be one of test, train; got valid"),
        (["speech", "-o", "old.pack"], "old.pack already exists with other content; use --overwrite"),
        (["speech", "-o", "a.pack", "--part-mb", "0.01"], "a part must contain complete clips"),
    ],
)
def test_bad_input(undin, voices, args, message):
    Path("old.pack").write_bytes(b"something")
    code, out, err = undin("pack", *args)
    assert (code, out) == (2, "") and err.startswith("undin: ") and message in err and err.count("\n") == 1
    assert not Path("a.pack").exists()


def test_it_says_how(undin, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    out = undin("pack", "--help").out
    assert "undin pack LibriSpeech/ DEMAND/ -o train.pack --split train" in out and "--part-mb" in out
