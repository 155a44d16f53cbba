import numpy as np
import pytest

import undin
from undin.errors import InputError
from undin.mixing import MixtureRow, Pairs, read_manifest, render, write_manifest

SR = 16000
CLEAN, NOISE = 0.1 * np.random.default_rng(0).standard_normal((2, SR // 2)).astype(np.float32)
# Folders and names of known sets -> folders that are found, id, SNR, speaker
SETS = {
    "plain": ("noisy/a.wav", "clean/a.flac", "a", 0.0, ""),
    "VoiceBank-DEMAND": ("noisy_testset_wav/p232_001.wav", "clean_testset_wav/p232_001.wav", "p232_001", 0.0, "p232"),
    "DNS": ("noisy/x_snr15_tl-21_fileid_7.wav", "clean/clean_fileid_7.wav", "x_snr15_tl-21_fileid_7", 15.0, ""),
    "MS-SNSD": (
        "NoisySpeech_training/noisy7_SNRdb_-5.0_clnsp7.wav",
        "CleanSpeech_training/clnsp7.wav",
        "noisy7_SNRdb_-5.0_clnsp7",
        -5.0,
        "",
    ),
    "subfolders": ("noisy/b/noisy_1.wav", "clean/b/clean_1.wav", "b/noisy_1", 0.0, ""),
}


def put(root, noisy, clean, x=CLEAN, n=NOISE, sr=SR):
    for name, y in ((noisy, x + n), (clean, x)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        undin.write(root / name, y, sr)


def found(root):
    pairs = Pairs.find(root)
    corpus = pairs.corpus()
    return corpus, list(pairs.rows(corpus))


@pytest.mark.parametrize("name", SETS)
def test_twins_of_known_sets_are_found(name, tmp_path):
    noisy, clean, id, snr_db, speaker = SETS[name]
    put(tmp_path, noisy, clean)
    corpus, (row,) = found(tmp_path)
    assert isinstance(row, MixtureRow)
    assert (row.id, row.speaker, row.n_samples) == (id, speaker, SR // 2)
    assert row.snr_db == pytest.approx(snr_db, abs=0.1)
    mixture = render(row, corpus)
    np.testing.assert_allclose(mixture.speech, CLEAN, atol=1e-4)
    np.testing.assert_allclose(mixture.noisy, CLEAN + NOISE, atol=1e-4)


def test_rows_of_pairs_are_kept_by_a_manifest(tmp_path):
    put(tmp_path, "noisy/a.wav", "clean/a.wav")
    _, rows = found(tmp_path)
    write_manifest(tmp_path / "pairs.csv", rows)
    assert list(read_manifest(tmp_path / "pairs.csv")) == rows


def test_a_folder_of_mixtures_is_paired_with_its_sibling_and_test_sets_come_first(tmp_path):
    for part in ("train", "test"):
        put(tmp_path, f"noisy_{part}set_wav/{part}.wav", f"clean_{part}set_wav/{part}.wav")
    assert [row.id for row in found(tmp_path)[1]] == ["test"]
    assert [row.id for row in found(tmp_path / "noisy_trainset_wav")[1]] == ["train"]


def test_files_that_make_no_pair_are_errors_and_the_others_are_rows(tmp_path):
    put(tmp_path, "noisy/a.wav", "clean/a.wav")
    put(tmp_path, "noisy/b.wav", "other/b.wav")
    put(tmp_path, "noisy/same.wav", "clean/same.wav", n=0 * NOISE)
    put(tmp_path, "noisy/short.wav", "other/short.wav")
    put(tmp_path, "other/short.wav", "clean/short.wav", x=CLEAN[:99], n=NOISE[:99])
    row, *errors = found(tmp_path)[1]
    assert row.id == "a"
    for error, text in zip(errors, ("no clean counterpart", "no finite SNR", "8000 samples and .* 99"), strict=True):
        with pytest.raises(InputError, match=text):
            raise error


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "expected a manifest.csv from `undin mix`, or folders noisy/ and clean/"),
        (["noisy", "clean"], "no audio files"),
        (["noisy_1", "clean_1", "noisy_2", "clean_2"], "several folders of mixtures: choose one of"),
    ],
)
def test_folders_that_are_not_pairs(folders, message, tmp_path):
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=message):
        found(tmp_path)
