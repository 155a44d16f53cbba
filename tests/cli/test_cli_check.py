import json
import subprocess

import numpy as np
import soundfile
from cli_files import write


def test_faults_come_with_their_cure_and_the_rest_is_fine(undin, here):
    x = np.clip(np.random.default_rng(0).normal(0, 0.3, (48000, 1)), -0.5, 0.5)
    soundfile.write("my clip.wav", np.repeat(x, 2, 1), 16000)
    code, out, err = undin("check", "my clip.wav")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "my clip.wav   0:03.0, 16000 Hz, 2 channels, WAV PCM_16"
    rows = {line.split()[0]: line for line in lines[1:] if not line.startswith("            ")}
    assert "clipped at" in rows["clipping"] and "identical: this is mono" in rows["channels"]
    assert "  " + " " * 10 + " -> undin enhance 'my clip.wav'\n" in out
    assert "no DC offset" in rows["fine"]


def test_faults_another_command_fixes_show_that_command(undin, here):
    x = np.full(16000, 0.1, np.float32)
    x[100] = np.nan
    soundfile.write("my nan.wav", x, 16000, subtype="FLOAT")
    assert "repair it, or run undin enhance 'my nan.wav' --nan zero to set" in undin("check", "my nan.wav").out


def test_a_file_of_no_samples_has_one_fault_and_nothing_fine(undin, here):
    soundfile.write("zero.wav", np.zeros((0, 1)), 16000)
    assert [line.split()[0] for line in undin("check", "zero.wav").out.splitlines()[1:]] == ["level", "->"]


def test_json_for_programs(undin, here):
    code, out, _ = undin("check", "a.wav", "--json")
    row = json.loads(out)
    assert code == 0 and (row["name"], row["sr"], row["n_channels"], row["seconds"]) == ("a.wav", 16000, 1, 0.5)
    assert all({"what", "status", "text", "cure", "values"} == set(finding) for finding in row["findings"])


def test_folders_are_searched_and_what_cannot_be_read_is_named(undin, here):
    write("b.wav")
    (here / "c.wav").write_text("words")
    code, out, err = undin("check", here, "-q")
    assert code == 1 and err.count("\n") == 1 and "c.wav is not a readable audio file" in err
    assert [line.split()[0].rpartition("/")[2] for line in out.splitlines() if not line.startswith(" ")] == [
        "a.wav",
        "b.wav",
    ]
    assert undin("check", "c.wav").code == 2
    (here / "empty").mkdir()
    assert "no audio files in this folder" in undin("check", "empty").err


def test_from_a_pipe(shell, here):
    soundfile.write("noise.wav", np.random.default_rng(0).normal(0, 0.1, 64000), 16000)
    with (here / "noise.wav").open("rb") as file:
        process = shell("check", "-", stdin=file, stderr=subprocess.PIPE)
        out, err = process.communicate()
    assert (process.returncode, err) == (0, b"") and b"0:04.0, 16000 Hz, mono" in out
    assert b"-> undin enhance -\n" in out
