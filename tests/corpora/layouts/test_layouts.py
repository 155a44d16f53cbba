"""Every known layout, on a tiny tree of its shape: recognized, listed and skipped files."""

import pytest
from corpus_trees import facts, found, sphere, tree

from undin import corpora
from undin.corpora import scan
from undin.corpora.layouts.plain import LEAST
from undin.corpora.trees import split_of, splits_of
from undin.errors import InputError


@pytest.mark.parametrize("upper", [True, False])
def test_timit(tmp_path, upper):
    names = ["TRAIN/DR1/FCJF0/SA1.WAV", "TRAIN/DR8/MTCS0/SX1.WAV", "TEST/DR1/FAKS0/SI9.WAV"]
    names = names if upper else [name.lower() for name in names]
    said = names[0][:-3] + ("TXT" if upper else "txt")
    tree(tmp_path, *names, (said, "0 46797 She had your dark suit.\n"))
    rows = found(tmp_path, "timit")
    assert sorted(rows) == sorted(names)
    speaker = "FCJF0" if upper else "fcjf0"
    assert facts(rows[names[0]], "speaker", "gender", "language", "text") == (
        speaker,
        "F",
        "en",
        "She had your dark suit.",
    )
    assert facts(rows[names[1]], "gender", "text") == ("M", "")
    assert rows[names[2]].split == "test" and rows[names[0]].split == split_of("fcjf0", test=False) != "test"


def test_timit_with_riff_copies_lists_each_sentence_once(tmp_path):
    tree(
        tmp_path,
        "data/TRAIN/DR1/FCJF0/SA1.WAV",
        "data/TRAIN/DR1/FCJF0/SA1.WAV.wav",
        ("data/TRAIN/DR1/FCJF0/SA1.TXT", "0 9 Hi."),
    )
    result = scan(tmp_path)
    assert result.root == tmp_path / "data"
    assert [facts(clip, "path", "text") for clip in result.rows] == [("TRAIN/DR1/FCJF0/SA1.WAV.wav", "Hi.")]


def test_librispeech(tmp_path):
    tree(
        tmp_path,
        "train-clean-100/14/208/14-208-0000.flac",
        "dev-clean/84/1/84-1-0000.flac",
        "test-other/367/1/367-1-0000.flac",
        ("train-clean-100/14/208/14-208.trans.txt", "14-208-0000 CHAPTER ONE\n14-208-0001 IT WAS\n"),
        ("SPEAKERS.TXT", "; ID |SEX|\n14   | F | train-clean-100 | 25.03 | Kristin | x\n84 | M | dev-clean | 8 | C\n"),
    )
    rows = list(found(tmp_path, "librispeech").values())
    assert [facts(clip, "split", "speaker", "gender", "text", "original") for clip in rows] == [
        ("dev", "84", "M", "", "dev-clean/84/1"),
        ("test", "367", "", "", "test-other/367/1"),
        ("train", "14", "F", "CHAPTER ONE", "train-clean-100/14/208"),
    ]
    tree(tmp_path, "train-clean-100/19/198/19-198-0000.flac")
    assert {clip.speaker for clip in corpora.hold_out(corpora.open(tmp_path), seed=0).select(split="valid").rows} < {
        "14",
        "19",
    }
    (clip,) = found(tmp_path / "dev-clean", "librispeech").values()
    assert facts(clip, "path", "gender", "split") == ("84/1/84-1-0000.flac", "M", "dev")


def test_vctk(tmp_path):
    tree(
        tmp_path,
        *(
            f"wav48_silence_trimmed/{name}.flac"
            for name in ("p225/p225_001_mic1", "p225/p225_001_mic2", "s5/s5_001_mic1")
        ),
        ("txt/p225/p225_001.txt", "Please call Stella.\n"),
        (
            "speaker-info.txt",
            "ID  AGE  GENDER  ACCENTS  REGION COMMENTS\np225  23  F    English    Southern  England\n",
        ),
    )
    rows = found(tmp_path, "vctk")
    assert [path.split("/")[-1] for path in rows] == ["p225_001_mic1.flac", "s5_001_mic1.flac"]
    clip = rows["wav48_silence_trimmed/p225/p225_001_mic1.flac"]
    assert facts(clip, "speaker", "gender", "text") == ("p225", "F", "Please call Stella.")
    assert clip.split == split_of("p225") and clip.licence == "CC-BY-4.0"


def test_vctk_of_2012_names_its_speakers_without_p(tmp_path):
    tree(tmp_path, "wav48/p225/p225_001.wav", ("speaker-info.txt", "ID AGE GENDER\n225  23  F    English"))
    (clip,) = found(tmp_path, "vctk").values()
    assert facts(clip, "gender", "licence") == ("F", "ODC-By-1.0")


def test_voicebank_demand_pairs_clean_with_noisy(tmp_path):
    tree(
        tmp_path,
        *(
            f"{kind}_trainset_28spk_wav/{name}"
            for kind in ("clean", "noisy")
            for name in ("p226_001.wav", "p227_001.wav")
        ),
        *(f"{kind}_testset_wav/p232_001.wav" for kind in ("clean", "noisy")),
        "clean_testset_wav/p232_002.wav",
        ("trainset_28spk_txt/p227_001.txt", "Please call Stella."),
        ("testset_txt/p232_001.txt", "Ask her."),
    )
    rows = found(tmp_path, "voicebank-demand")
    assert [facts(clip, "speaker", "split", "text", "noisy_path") for clip in rows.values()] == [
        ("p232", "test", "Ask her.", "noisy_testset_wav/p232_001.wav"),
        ("p232", "test", "", ""),
        ("p226", "dev", "", "noisy_trainset_28spk_wav/p226_001.wav"),
        ("p227", "train", "Please call Stella.", "noisy_trainset_28spk_wav/p227_001.wav"),
    ]
    corpus = corpora.open(tmp_path)
    clip = corpus.rows[0]
    noisy, clean = corpus.read(clip.noisy_path, clip.offset_s, clip.duration_s), corpus.load(clip)
    assert noisy.shape == clean.shape and not (noisy == clean).all()


def test_wsj0(tmp_path):
    tree(
        tmp_path,
        "11-1.1/wsj0/si_tr_s/01t/01to0301.wv1",
        "11-1.1/wsj0/si_tr_s/01t/01to0301.wv2",
        "11-6.1/wsj0/si_dt_05/050/050c0101.wav",
        "11-6.1/wsj0/si_dt_05/050/050c0101.wv1",
        "11-14.1/wsj0/si_et_05/440/440c0201.wv1",
        ("11-1.1/wsj0/wsj0-train-spkrinfo.txt", ";SPK SEX\n01T  M  IBM\n"),
    )
    rows = found(tmp_path, "wsj0")
    assert [(path.split("/")[-1], *facts(clip, "speaker", "gender", "split")) for path, clip in rows.items()] == [
        ("01to0301.wv1", "01t", "M", "train"),
        ("050c0101.wav", "050", "", "dev"),
        ("440c0201.wv1", "440", "", "test"),
    ]


def test_sphere_that_cannot_be_read_is_named(tmp_path):
    sphere(tmp_path / "si_tr_s/a/00ac0101.wv1", coding="pcm,embedded-shorten-v2.00")
    sphere(tmp_path / "si_tr_s/a/00ac0102.wv1", n_promised=2000)
    sphere(tmp_path / "si_tr_s/a/00ac0103.wv1")
    result = scan(tmp_path)
    assert [clip.path for clip in result.rows] == ["si_tr_s/a/00ac0103.wv1"]
    shorten, short = (fault.reason for fault in result.unreadable)
    assert shorten.startswith("its samples are compressed (pcm,embedded-shorten-v2.00)") and "sph2pipe" in shorten
    assert short == "is truncated: 1600 of 2000 samples are present"
    with pytest.warns(UserWarning, match="left out 2 files of .* that cannot be read .*00ac0101.wv1: its samples"):
        assert len(corpora.open(tmp_path)) == 1


def test_librimix(tmp_path):
    name = "4077-13754-0001_5142-33396-0065.wav"
    for folder in ("wav8k/min/dev", "wav16k/max/dev", "wav16k/min/train-100", "wav16k/min/test"):
        tree(tmp_path, *(f"{folder}/{part}/{name}" for part in ("s1", "s2", "mix_clean", "mix_both", "noise")))
    tree(tmp_path, ("metadata/LibriSpeech/dev-clean.csv", "speaker_ID,sex,length\n4077,M,1\n5142,F,1\n"))
    tree(tmp_path, ("metadata/Libri2Mix/mixture_dev_mix_clean.csv", "mixture_ID,length\na,1\n"))
    rows = found(tmp_path, "librimix")
    assert {path.rsplit("/", 3)[0] for path in rows} == {"wav16k/min"}
    base = "wav16k/min/train-100"
    second = rows[f"{base}/s2/{name}"]
    assert facts(second, "speaker", "gender", "split", "kind") == ("5142", "F", "train", "")
    assert rows[f"{base}/s1/{name}"].noisy_path == second.noisy_path == f"{base}/mix_clean/{name}"
    assert rows[f"wav16k/min/test/noise/{name}"].kind == "wham" and len(rows) == 6


def test_wsj0_2mix(tmp_path):
    name = "011a0101_1.3_02ma0101_-1.3.wav"
    tree(
        tmp_path,
        *(f"wav8k/min/{split}/{part}/{name}" for split in ("tr", "cv", "tt") for part in ("s1", "s2", "mix")),
        sr=8000,
    )
    rows = found(tmp_path, "librimix")
    assert {facts(clip, "speaker", "split", "corpus") for clip in rows.values()} == {
        (speaker, split, "wsj0-mix") for speaker in ("011", "02m") for split in ("train", "dev", "test")
    }


def test_ms_snsd(tmp_path):
    tree(
        tmp_path,
        "clean_train/clnsp1.wav",
        "clean_test/clnsp2.wav",
        "noise_train/AirConditioner_1.wav",
        "noise_test/Babble_12.wav",
    )
    rows = found(tmp_path, "ms-snsd")
    assert [facts(clip, "kind", "split") for clip in rows.values()] == [
        ("", split_of("clnsp1", test=False)),
        ("", "test"),
        ("AirConditioner", split_of("AirConditioner_1", test=False)),
        ("Babble", "test"),
    ]


def test_noisex92(tmp_path):
    kinds = ["babble", "f16", "pink", "volvo", "white"]
    tree(tmp_path, *(f"{kind}.wav" for kind in kinds), "readme.wav", sr=19980)
    rows = found(tmp_path, "noisex-92")
    assert {clip.kind: clip.split for clip in rows.values()} == {
        "babble": "test", "f16": "test", "pink": "train", "volvo": "dev", "white": "train",
    }  # fmt: skip


def test_noisex92_as_mat(tmp_path):
    for kind in ("babble", "f16", "pink", "volvo", "white"):
        (tmp_path / f"{kind}.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(InputError, match=r"contains NOISEX-92 as \.mat, which is not supported"):
        scan(tmp_path)


def test_demand(tmp_path):
    tree(tmp_path, *(f"{kind}/ch{i:02}.wav" for kind in ("DKITCHEN", "TBUS", "NPARK_16k/NPARK") for i in (1, 2, 16)))
    rows = found(tmp_path, "demand")
    assert {path: facts(clip, "kind", "split") for path, clip in rows.items()} == {
        "DKITCHEN/ch01.wav": ("kitchen", "train"),
        "NPARK_16k/NPARK/ch01.wav": ("park", "dev"),
        "TBUS/ch01.wav": ("bus", "test"),
    }


def test_esc50(tmp_path):
    table = "filename,fold,target,category,esc10,src_file,take\n" + "".join(
        f"{fold}-100032-A-0.wav,{fold},0,dog,True,100032,A\n" for fold in (1, 3, 4, 5)
    )
    licence = "101 - Dog:\n- [1-100032-A.ogg]: clip derived from a [b].wav (http://x) by nfrae [CC0]\n"
    tree(
        tmp_path, *(f"audio/{i}-100032-A-0.wav" for i in (1, 3, 4, 5)), ("meta/esc50.csv", table), ("LICENSE", licence)
    )
    rows = found(tmp_path, "esc-50")
    assert [facts(clip, "kind", "split", "licence", "source") for clip in rows.values()] == [
        ("dog", "train", "CC0", "freesound 100032"),
        ("dog", "train", "CC-BY-NC-3.0", "freesound 100032"),
        ("dog", "dev", "CC-BY-NC-3.0", "freesound 100032"),
        ("dog", "test", "CC-BY-NC-3.0", "freesound 100032"),
    ]


def test_esc50_without_a_file_or_a_column(tmp_path):
    tree(tmp_path, "audio/a.wav", ("meta/esc50.csv", "filename,fold,category\na.wav,1,dog\nb.wav,1,dog\n"))
    assert scan(tmp_path).unreadable == (("audio/b.wav", "No such file or directory"),)
    (tmp_path / "meta/esc50.csv").write_text("filename,category\na.wav,dog\n")
    with pytest.raises(InputError, match=r"esc50\.csv: column fold is missing"):
        scan(tmp_path)


def test_musan(tmp_path):
    tree(
        tmp_path,
        "speech/librivox/speech-librivox-0000.wav",
        "speech/us-gov/speech-us-gov-0000.wav",
        "music/fma/music-fma-0000.wav",
        "noise/free-sound/noise-free-sound-0000.wav",
        ("speech/librivox/ANNOTATIONS", "speech-librivox-0000 m english\n\nspeech-librivox-0001 f\n"),
    )
    rows = found(tmp_path, "musan")
    assert [facts(clip, "speaker", "gender", "language", "kind") for clip in rows.values()] == [
        ("speech-librivox-0000", "M", "en", ""),
        ("speech-us-gov-0000", "", "", ""),
        ("", "", "", "music"),
        ("", "", "", "noise"),
    ]


def test_chime3_backgrounds(tmp_path):
    folder = "data/audio/16kHz/backgrounds"
    tree(tmp_path, *(f"{folder}/BGD_150203_010_{place}.CH{i}.wav" for place in ("CAF", "STR") for i in (3, 1, 6)))
    tree(tmp_path, f"{folder}/BGD_150204_020_BUS.CH5.wav", "data/audio/16kHz/isolated/speech.wav")
    rows = found(tmp_path / folder, "chime-3")
    assert {path: clip.kind for path, clip in rows.items()} == {
        "BGD_150203_010_CAF.CH1.wav": "cafe",
        "BGD_150203_010_STR.CH1.wav": "street",
        "BGD_150204_020_BUS.CH5.wav": "bus",
    }
    assert rows["BGD_150203_010_CAF.CH1.wav"].split == rows["BGD_150203_010_STR.CH1.wav"].split == split_of("150203")
    assert len(found(tmp_path, "chime-3")) == 3


def test_tables(tmp_path):
    tree(tmp_path, "a.wav", ("speech.csv", "path,offset_s,duration_s,split,speaker\na.wav,0,0.1,test,ann\n"))
    (clip,) = found(tmp_path, "tables").values()
    assert facts(clip, "speaker", "split") == ("ann", "test")
    assert scan(corpora.mini().root).rows == corpora.mini().rows


def test_plain_folders_name_talkers_and_kinds(tmp_path):
    tree(
        tmp_path,
        "speech/anna/x.wav",
        "speech/anna/day 2/y.flac",
        "speech/z.wav",
        "noise/rain/1.wav",
        "noise/drill_03.wav",
        "noise/007.wav",
        "music/jazz/1.wav",
        ".hidden/h.wav",
        "speech/anna/._x.wav",
        ("speech/notes.txt", "no sound"),
    )
    rows = found(tmp_path, "plain")
    assert {path: facts(clip, "speaker", "kind") for path, clip in rows.items()} == {
        "speech/anna/x.wav": ("anna", ""),
        "speech/anna/day 2/y.flac": ("anna", ""),
        "speech/z.wav": ("", ""),
        "noise/rain/1.wav": ("", "rain"),
        "noise/drill_03.wav": ("", "drill"),
        "noise/007.wav": ("", "noise"),
        "music/jazz/1.wav": ("", "music"),
    }


def test_plain_splits_are_folders_or_stay_with_the_talker(tmp_path):
    tree(tmp_path, "train/anna/1.wav", "valid/ben/1.wav", "test/noise/rain.wav", "zoe/1.wav", "zoe/2.wav")
    before = {path: clip.split for path, clip in found(tmp_path, "plain").items()}
    assert before == {
        "train/anna/1.wav": "train",
        "valid/ben/1.wav": "dev",
        "test/noise/rain.wav": "test",
        "zoe/1.wav": split_of("zoe"),
        "zoe/2.wav": split_of("zoe"),
    }
    tree(tmp_path, "adam/1.wav", "zoe/3.wav")
    after = {path: clip.split for path, clip in found(tmp_path, "plain").items()}
    assert before.items() <= after.items() and after["zoe/3.wav"] == before["zoe/1.wav"]


def splits(names):
    return splits_of(names, *LEAST["speaker"])


def test_few_talkers_have_the_splits_that_recipes_need(tmp_path):
    for n in range(1, 25):
        drawn = list(splits([f"voice {i}" for i in range(n)]).values())
        least = (4, 2) if n >= 6 else (2, 1) if n >= 3 else (n, 0)
        assert drawn.count("train") >= least[0] and drawn.count("test") >= least[1]
        assert drawn.count("dev") or n in (1, 2, 3, 6)
    many = [f"voice {i}" for i in range(200)]
    assert splits(many) == {name: split_of(name) for name in many}
    tree(tmp_path, *(f"{i}/{k}.wav" for i in range(6) for k in range(2)), *(f"noise/rain/{i}.wav" for i in range(3)))
    clips = found(tmp_path, "plain").values()
    assert {(clip.speaker, clip.split) for clip in clips if clip.speaker} == set(splits("012345").items())
    assert sorted(clip.split for clip in clips if clip.kind) == ["test", "train", "train"]


def test_another_talker_moves_few_of_the_others():
    for k in range(100):
        names = [f"voice {k} {i}" for i in range(30)]
        for n in range(3, 30):
            before, after = splits(names[:n]), splits(names[: n + 1])
            assert sum(after[name] != split for name, split in before.items()) <= 2


def test_nobody_is_moved_where_folders_say_splits(tmp_path):
    tree(tmp_path, "train/a/1.wav", *(f"{name}/1.wav" for name in "bcdefg"))
    assert {clip.split for clip in found(tmp_path, "plain").values()} == {"train"} | {split_of(c) for c in "bcdefg"}


def test_a_role_says_what_a_plain_folder_is(tmp_path):
    tree(tmp_path / "noise", "rain/1.wav", "2.wav")
    assert [clip.kind for clip in scan(tmp_path / "noise").rows] == ["noise", "rain"]
    assert [clip.speaker for clip in scan(tmp_path / "noise", role="speech").rows] == ["", "rain"]
    assert not corpora.open(tmp_path / "noise" / "rain", role="noise").speech
    with pytest.raises(InputError, match=r'role is for plain folders; got role="noise" with layout="timit"'):
        scan(tmp_path, role="noise", layout="timit")


def test_links_to_folders_are_followed_once(tmp_path):
    tree(tmp_path, "far/anna/1.wav", "near/ben/1.wav")
    (tmp_path / "near" / "anna").symlink_to(tmp_path / "far" / "anna", target_is_directory=True)
    (tmp_path / "near" / "round").symlink_to(tmp_path / "near", target_is_directory=True)
    assert list(found(tmp_path / "near", "plain")) == ["anna/1.wav", "ben/1.wav"]


def test_links_that_lead_to_themselves_stop_nothing(tmp_path):
    tree(tmp_path, "anna/1.wav")
    for name, to in (("self", "self"), ("anna/x", "y"), ("anna/y", "x"), ("anna/up", "..")):
        (tmp_path / name).symlink_to(to)
    assert list(found(tmp_path, "plain")) == ["anna/1.wav"]
