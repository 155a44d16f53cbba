import numpy as np
import pytest
import soundfile

from undin.errors import InputError
from undin.mixing import Drawing
from undin.mixing.config_ini import read_config
from undin.mixing.layout import parse_layout
from undin.mixing.write import MixtureWriter

TEXT = """[config]
clean_train_path = clean\\train
noise_train_path: noise/train
clean_test_path = clean/test
noise_test_path = noise/test
sample_rate = 8000
file_length = 1
total_training_files = 6
total_testing_files = 3
SNR_lower = -6
SNR_upper = 9   # dB
total_snrlevels = 16
"""


@pytest.fixture
def home(tmp_path):
    """Some clips are too short, some have another rate."""
    rng = np.random.default_rng(0)
    for kind in ("clean", "noise"):
        for split in ("train", "test"):
            folder = tmp_path / kind / split / "deep"
            folder.mkdir(parents=True)
            for k, (seconds, sr) in enumerate([(1.5, 8000), (0.5, 8000), (2, 16000)]):
                soundfile.write(folder / f"{k}.wav", 0.1 * rng.standard_normal(int(seconds * sr)), sr)
    (tmp_path / "config.ini").write_text(TEXT)
    return tmp_path


def test_six_folders(home):
    stages = read_config(home / "config.ini")
    assert [(stage.name, stage.n) for stage in stages] == [("training", 6), ("testing", 3)]
    for stage in stages:
        drawing = Drawing(stage.corpus, stage.settings)
        job = MixtureWriter(
            stage.corpus, home / "out", parse_layout("six-folders"), drawing, stage.n, name=f"manifest_{stage.name}"
        )
        rows = [made.row for made in job.run()]
        assert all(made.n_samples == 8000 and made.snr_db in range(-6, 10) for made in rows)
        assert {clip.path.rpartition("/")[2] for row in rows for clip in row.speech} == {"0.wav", "2.wav"}
        assert all(
            stage.settings.split in source.path.split("/") for row in rows for source in (*row.speech, *row.noise)
        )
    for folder, n in (("training", 6), ("testing", 3)):
        for kind, pattern in (
            ("CleanSpeech", "clnsp[1-9].wav"),
            ("Noise", "noisy[1-9]_SNRdb_*.00.wav"),
            ("NoisySpeech", "noisy[1-9]_SNRdb_*.00_clnsp[1-9].wav"),
        ):
            files = list((home / "out" / f"{kind}_{folder}").glob(pattern))
            assert len(files) == n
            assert {soundfile.info(path).frames for path in files} == {8000}


def test_one_stage(home):
    text = "\n".join(line for line in TEXT.splitlines() if "test" not in line)
    (home / "config.ini").write_text(text)
    assert [stage.name for stage in read_config(home / "config.ini")] == ["training"]


def test_other_sections_are_left_out_with_a_note(home):
    (home / "config.ini").write_text(f"{TEXT}\n[STFT]\nwindow_type = hamming\nn_fft = 512\n")
    with pytest.warns(UserWarning, match=r"config\.ini: \[STFT\] is ignored: mixtures are written, no spectra"):
        assert len(read_config(home / "config.ini")) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("SNR_upper = 9", "SNR_lower = 9", "line 11: snr_lower occurs twice: remove one"),
        ("SNR_upper = 9", "", "needs SNR_upper = NUMBER"),
        ("SNR_lower = -6", "SNR_lower = low", "SNR_lower of the config.ini must be a number; got 'low'"),
        ("total_snrlevels = 16", "total_snrlevels = 0", "total_snrlevels must be 1 to 10000"),
        ("total_snrlevels = 16", "total_snrlevels = 5e16", "total_snrlevels must be 1 to 10000"),
        ("[config]", "[mix]", r"must have a section \[config\]; got mix"),
        ("[config]", "config", "is not a config.ini"),
        ("noise_train_path: noise/train", "", "training needs clean_train_path and noise_train_path"),
        ("clean\\train", "nowhere", "nowhere: no such folder"),
        ("clean\\train", "a" * 300, "aaa: no such folder"),
        ("file_length = 1", "file_length = 0", "duration_s must be a finite number, above 0"),
    ],
)
def test_what_is_wrong_is_named(home, old, new, message):
    (home / "config.ini").write_text(TEXT.replace(old, new))
    with pytest.raises(InputError, match=message):
        read_config(home / "config.ini")


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*nothing.ini: No such file"):
        read_config(tmp_path / "nothing.ini")
