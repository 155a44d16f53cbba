import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from undin.cli.mix import parse_snr
from undin.mixing import read_manifest


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """speech/ of three talkers and noise/ of two kinds."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("speech/ann/1", "speech/ann/2", "speech/bob/3", "speech/cid/4", "noise/hum/5", "noise/rain/6"):
        path = Path(f"{name}.wav")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(4000), 8000)
    return tmp_path


def test_mixtures_and_the_same_again(undin, folders):
    assert undin("mix", "speech", "noise", "-o", "out", "--n", 5, "--snr", "-5,15") == (
        0,
        "5 done -> out/manifest.csv\n",
        "",
    )
    assert sorted(path.name for path in Path("out").iterdir()) == [
        ".undin-mix.manifest.json", "clean", "manifest.csv", "noise", "noisy",
    ]  # fmt: skip
    assert undin("mix", "speech", "noise", "-o", "out", "--n", 5).out == "5 skipped -> out/manifest.csv\n"
    assert undin("mix", "out/manifest.csv", "--data", ".", "-o", "again", "--workers", 2).code == 0
    for path in Path("out").rglob("*.flac"):
        assert path.read_bytes() == Path("again", *path.parts[1:]).read_bytes()


def test_talkers_noises_and_levels(undin, folders):
    args = ["--talkers", 2, "--noises", "0-2", "--lengths", "max", "--level", "-30,-25", "--format", "wav", "-q"]
    assert undin("mix", ".", "-o", "out", "--n", 6, *args) == (0, "", "")
    rows = list(read_manifest("out/manifest.csv"))
    assert {len(row.speech) for row in rows} == {2} and {len(row.noise) for row in rows} <= {0, 1, 2}
    assert len(list(Path("out/s2").glob("*.wav"))) == 6
    for path in Path("out/noisy").iterdir():
        x, _ = soundfile.read(path)
        assert -30.1 < 20 * np.log10(np.std(x)) < -24.9
    assert undin("mix", "out/manifest.csv", "--data", ".", "-o", "again", "-q").code == 0
    assert len(list(Path("again/s2").glob("*.flac"))) == 6


def test_corpora_side_by_side(undin, folders):
    """Noise does not count as a talker, and each corpus keeps its splits."""
    for name in ("train-clean-100/14/1", "train-clean-100/15/1", "train-clean-100/16/1", "test-clean/61/1"):
        Path("corp/LibriSpeech", name).mkdir(parents=True)
        shutil.copy("speech/ann/1.wav", f"corp/LibriSpeech/{name}/1.wav")
    for name in ("noise_train/Hum_1", "noise_test/Rain_1"):
        Path("corp/MS-SNSD", name).parent.mkdir(parents=True)
        shutil.copy("noise/hum/5.wav", f"corp/MS-SNSD/{name}.wav")
    assert undin("mix", "corp", "-o", "two", "--n", 6, "--talkers", 2, "-q").code == 0
    rows = list(read_manifest("two/manifest.csv"))
    assert {source.label for row in rows for source in row.speech} == {"14", "15", "16", "61"}
    assert undin("mix", "corp", "-o", "noisy", "--n", 2, "--split", "test", "-q").code == 0
    assert {(row.speech[0].label, row.kind) for row in read_manifest("noisy/manifest.csv")} == {("61", "Rain")}
    assert undin("pack", "corp", "-o", "corp.pack", "--sr", 8000, "-q").code == 0
    assert undin("mix", "two/manifest.csv", "--data", "corp", "-o", "again", "-q").code == 0
    assert len(undin("mix", "corp.pack", "-o", "packed", "--n", 6, "--talkers", 2, "-q").err) == 0
    assert [row.speech for row in read_manifest("packed/manifest.csv")] == [row.speech for row in rows]


def test_shards_one_manifest_and_no_files(undin, folders):
    for i in (2, 1):
        assert undin("mix", ".", "-o", "out", "--n", 7, "--manifest-only", "--shard", f"{i}/2", "-q").code == 0
    assert [row.id for row in read_manifest("out/manifest.csv")] == [f"mix-{i:05d}" for i in range(7)]
    assert not Path("out/noisy").exists()


def test_json(undin, folders):
    code, out, err = undin("mix", ".", "-o", "out", "--n", 2, "--json", "--talkers", 2)
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "") and [row["status"] for row in rows] == ["done"] * 2
    assert rows[0]["outputs"] == ["noisy/mix-00000.flac", "s1/mix-00000.flac", "s2/mix-00000.flac"]
    assert rows[0]["row"]["snr_db"] is None and len(rows[0]["row"]["speech"]) == 2


def test_the_corpus_that_is_shipped_and_what_was_seen(undin, tmp_path, monkeypatch):
    monkeypatch.delenv("UNDIN_DATA", raising=False)
    args = ["--split", "test", "--seen", "train", "--snr", "0:5:5", "--kinds", "hum,rain", "--n", 4, "--manifest-only"]
    assert undin("mix", "-o", tmp_path / "out", *args).code == 0
    rows = list(read_manifest(tmp_path / "out/manifest.csv"))
    assert {row.speaker_seen for row in rows} == {"no"} and {row.noise_seen for row in rows} == {"yes"}
    assert sorted(row.snr_db for row in rows) == [0, 0, 5, 5] and {row.kind for row in rows} == {"hum", "rain"}
    args = ["--split", "dev", "--seen", tmp_path / "out/manifest.csv", "--n", 3, "--manifest-only", "-q"]
    assert undin("mix", "-o", tmp_path / "dev", *args).code == 0
    assert {row.noise_seen for row in read_manifest(tmp_path / "dev/manifest.csv")} == {"no"}


def test_config_ini(undin, folders):
    Path("config.ini").write_text(
        "[config]\nclean_train_path=speech\nnoise_train_path=noise\nsample_rate=8000\nfile_length=0.25\n"
        "total_training_files=3\nSNR_lower=0\nSNR_upper=2\ntotal_snrlevels=3\n"
    )
    assert undin("mix", "--config", "config.ini", "-o", "out") == (0, "3 done -> out/manifest_training.csv\n", "")
    names = sorted(path.name for path in Path("out/NoisySpeech_training").iterdir())
    assert [name.partition("_")[0] for name in names] == ["noisy1", "noisy2", "noisy3"]
    assert sorted(name.split("_")[2] for name in names) == ["0.00", "1.00", "2.00"]


def test_failures_are_named_and_the_rest_is_written(undin, folders):
    soundfile.write("noise/hum/5.wav", np.zeros(4000), 8000)
    code, out, err = undin("mix", ".", "-o", "out", "--n", 6)
    assert (code, out) == (1, "3 done, 3 failed -> out/manifest.csv\n")
    assert err.count("\n") == 3 and err.count("noise/hum/5.wav is silent") == 3
    assert err.startswith("undin: mixture mix-0000")


def test_a_manifest_with_a_broken_row(undin, folders):
    undin("mix", ".", "-o", "out", "--n", 3, "--manifest-only")
    lines = Path("out/manifest.csv").read_text().splitlines()
    lines[2] = lines[2].replace("8000", "fast", 1)
    Path("m.csv").write_text("\n".join(lines))
    code, out, err = undin("mix", "m.csv", "--data", ".", "-o", "again")
    assert (code, out) == (1, "2 done, 1 failed -> again/manifest.csv\n")
    assert err == "undin: m.csv, row 3: sr must be a whole number; got 'fast'\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["."], "mix needs -o DIR"),
        ([".", "-o", "out", "--snr", "loud"], "--snr must be LOW,HIGH, LOW:HIGH:STEP or one number; got 'loud'"),
        ([".", "-o", "out", "--snr", "-5,x"], "--snr must be 2 numbers, such as -5,15; got '-5,x'"),
        ([".", "-o", "out", "--snr", "15,-5"], "--snr must be two numbers (low, high), low <= high"),
        ([".", "-o", "out", "--snr", "nan"], "--snr must be a finite number, or two numbers"),
        ([".", "-o", "out", "--snr", "5:0:1"], "--snr LOW:HIGH:STEP needs LOW < HIGH"),
        ([".", "-o", "out", "--noises", "1-"], "--noises must be a number or a range, such as 1-3; got '1-'"),
        ([".", "-o", "out", "--shard", "3"], "--shard must be I/N, such as 3/16; got '3'"),
        ([".", "-o", "out", "--shard", "3/2"], "shard must be I/N with 1 <= I <= N; got 3/2"),
        ([".", "-o", "out", "--template", "x={id}"], "a template must be noisy=PATTERN"),
        ([".", "-o", "out", "--split", "exam"], "--split must be one of"),
        ([".", "-o", "out", "--duration", "-2"], "--duration must be a finite number, above 0, or none; got -2.0"),
        ([".", "-o", "out", "--sr", "5"], "--sr must be an int in 1000 to 768000 Hz; got 5: give the"),
        (["speech/ann", "noise", "-o", "out", "--talkers", "2"], "2 talkers need recordings of 2 speakers"),
        (["speech", "-o", "out"], " and 0 recordings of noise"),
        (["nowhere", "-o", "out"], "nowhere: no such folder"),
        (["m.csv", "noise", "-o", "out"], "a manifest cannot be combined with other inputs"),
        (["m.csv", "-o", "out"], "a manifest needs --data DIR"),
        (["m.csv", "-o", "out", "--data", "nowhere"], "no such folder"),
        (["m.csv", "-o", "out", "--data", "."], "m.csv: no such file or folder: check"),
        ([".", "-o", "out", "--config", "c.ini"], "--config names the folders itself"),
        (["-o", "out", "--config", "c.ini"], "cannot read c.ini: No such file"),
    ],
)
def test_bad_input(undin, folders, args, message):
    code, out, err = undin("mix", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not Path("out").exists()


def test_the_wrong_folder_of_a_manifest(undin, folders):
    undin("mix", ".", "-o", "out", "--n", 3, "--manifest-only")
    code, _, err = undin("mix", "out/manifest.csv", "--data", "noise", "-o", "again")
    assert code == 2 and "noise contains none of the files of out/manifest.csv, such as speech/" in err


def test_snr_texts():
    assert parse_snr("-5,15") == (-5, 15)
    assert parse_snr("3") == 3
    assert parse_snr("-5:5:2.5") == [-5, -2.5, 0, 2.5, 5]


def test_help_has_an_example(undin):
    code, out, _ = undin("mix", "--help")
    assert code == 0 and "undin mix speech/ noise/ -o mixed/" in " ".join(out.split())
