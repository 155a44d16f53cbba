"""Folders of one layout, of several side by side and of none: which become a corpus, and which are refused."""

import pytest
from corpus_trees import facts, found, tree

from undin import corpora
from undin.corpora import LAYOUTS, scan
from undin.corpora.trees import split_of
from undin.errors import InputError


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "plain"])
def test_a_folder_of_another_layout_is_refused(tmp_path, layout):
    tree(tmp_path, "anna/x.wav")
    with pytest.raises(InputError, match=f"contains no audio in the layout {layout}: looked for files that end in"):
        scan(tmp_path, layout=layout)


def test_what_is_no_corpus(tmp_path):
    tree(tmp_path, ("notes.txt", "none"))
    with pytest.raises(InputError, match=r"contains no audio: looked for files that end in \.aif, .*\.wav"):
        scan(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        scan(tmp_path / "far")
    with pytest.raises(InputError, match="must be a folder, not a file"):
        scan(tmp_path / "notes.txt")
    with pytest.raises(InputError, match=r"layout must be one of tables, timit, .*; got 'timid'"):
        scan(tmp_path, layout="timid")


def test_splits_are_drawn_evenly():
    drawn = [split_of(f"speaker {i}") for i in range(2000)]
    assert [drawn.count(split) / 2000 for split in ("train", "dev", "test")] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    drawn = [split_of(f"speaker {i}", test=False) for i in range(2000)]
    assert drawn.count("dev") / 2000 == pytest.approx(0.1, abs=0.02) and "test" not in drawn


def test_progress_is_reported(tmp_path):
    tree(tmp_path, "anna/1.wav", "ben/1.wav")
    ticks = []
    scan(tmp_path, tick=lambda done, total: ticks.append((done, total)))
    assert ticks == [(1, 2), (2, 2)]


def test_open_passes_on_its_arguments(tmp_path):
    tree(tmp_path, "TRAIN/DR1/FCJF0/SA1.wav", n_channels=2)
    corpus = corpora.open(tmp_path, layout="plain", sr=8000, mono=True)
    assert facts(corpus.rows[0], "speaker", "split") == ("DR1", "train")
    assert corpus.load(corpus.rows[0]).shape == (800,)
    assert len(corpora.open(tmp_path, role="noise").noise) == 1


def test_folders_that_only_look_like_a_layout_are_plain(tmp_path):
    """Nothing in them may be dropped."""
    tree(tmp_path / "a", "speech/x.wav", "music/y.wav", "noise/z.wav")
    tree(tmp_path / "b", "test-clean/x.wav")
    tree(tmp_path / "c", "train/anna/x.wav", "test/ben/y.wav")
    assert [len(found(tmp_path / name, "plain")) for name in "abc"] == [3, 1, 2]


LIBRISPEECH = [f"LibriSpeech/{split}-clean/{i}/7/{i}-7-0000.flac" for i, split in enumerate(("dev", "test", "train"))]
MS_SNSD = ["clean_train/clnsp1.wav", "clean_test/clnsp2.wav", "noise_train/Babble_1.wav", "noise_test/Babble_12.wav"]
MS_SNSD = [f"MS-SNSD/{name}" for name in MS_SNSD]


def test_layouts_side_by_side_are_one_corpus(tmp_path, monkeypatch):
    tree(tmp_path / "corp", *LIBRISPEECH, *MS_SNSD, ("notes/readme.txt", "no sound"))
    rows = found(tmp_path / "corp", "librispeech + ms-snsd")
    assert list(rows) == LIBRISPEECH + MS_SNSD
    assert [facts(clip, "split", "corpus", "speaker", "kind") for clip in rows.values()] == [
        ("dev", "librispeech", "0", ""),
        ("test", "librispeech", "1", ""),
        ("train", "librispeech", "2", ""),
        ("train", "ms-snsd", "", ""),
        ("test", "ms-snsd", "", ""),
        (split_of("Babble_1", test=False), "ms-snsd", "", "Babble"),
        ("test", "ms-snsd", "", "Babble"),
    ]
    (tmp_path / "corp/MS-SNSD/noise_test/Babble_13.wav").write_bytes(b"")
    assert [fault.path for fault in scan(tmp_path / "corp").unreadable] == ["MS-SNSD/noise_test/Babble_13.wav"]
    monkeypatch.chdir(tmp_path / "corp/LibriSpeech")
    assert [clip.path for clip in scan("..").rows] == list(rows)
    tree(tmp_path / "archive/unpacked", *LIBRISPEECH, *MS_SNSD)
    assert scan(tmp_path / "archive").root == tmp_path / "archive/unpacked"


def test_one_layout_in_a_folder_of_downloads(tmp_path):
    tree(tmp_path, *LIBRISPEECH, ("archives/sums.txt", "no sound"))
    result = scan(tmp_path)
    assert (result.root, result.layout, len(result.rows)) == (tmp_path / "LibriSpeech", "librispeech", 3)
    tree(tmp_path / "other", *LIBRISPEECH, "loose.wav")
    with pytest.raises(InputError, match=r"audio of unknown role next to it: loose\.wav"):
        scan(tmp_path / "other")


def test_layouts_lie_in_plain_folders_too(tmp_path):
    tree(
        tmp_path,
        *(f"speech/{name}" for name in LIBRISPEECH),
        "speech/anna/1.wav",
        "noise/ESC-50/audio/1-2-A-0.wav",
        ("noise/ESC-50/meta/esc50.csv", "filename,fold,category\n1-2-A-0.wav,1,dog\n"),
        "noise/DEMAND/DKITCHEN/ch01.wav",
        "noise/DEMAND/DKITCHEN/ch02.wav",
        "noise/drill/1.wav",
        "test/noise/rain.wav",
    )
    rows = found(tmp_path, "demand + esc-50 + plain + librispeech")
    assert {path: facts(clip, "corpus", "speaker", "kind") for path, clip in rows.items()} == {
        "noise/DEMAND/DKITCHEN/ch01.wav": ("demand", "", "kitchen"),
        "noise/ESC-50/audio/1-2-A-0.wav": ("esc-50", "", "dog"),
        "noise/drill/1.wav": ("", "", "drill"),
        **{f"speech/{name}": ("librispeech", str(i), "") for i, name in enumerate(LIBRISPEECH)},
        "speech/anna/1.wav": ("", "anna", ""),
        "test/noise/rain.wav": ("", "", "rain"),
    }
    assert rows["test/noise/rain.wav"].split == "test" and rows["noise/ESC-50/audio/1-2-A-0.wav"].split == "train"


def test_layouts_beside_the_folders_of_one_are_not_dropped(tmp_path):
    tree(tmp_path / "a", "DKITCHEN/ch01.wav", "TBUS/ch01.wav", *LIBRISPEECH)
    assert len(found(tmp_path / "a", "demand + librispeech")) == 5
    musan = ("speech/librivox/s.wav", "music/fma/m.wav", "noise/free-sound/n.wav")
    tree(tmp_path / "b", "wsj0/si_tr_s/01t/01to0301.wv1", *(f"musan/{name}" for name in musan))
    assert len(found(tmp_path / "b", "wsj0 + musan")) == 4


def test_tables_of_what_lies_beside_them_do_not_count_it_twice(tmp_path):
    header = "path,offset_s,duration_s,split\n"
    tree(tmp_path, *LIBRISPEECH, *MS_SNSD, ("data/speech.csv", f"{header}../{LIBRISPEECH[0]},0,0.1,test\n"))
    assert len(found(tmp_path, "librispeech + ms-snsd")) == 7
    tree(tmp_path, "data/x.wav", ("data/speech.csv", f"{header}x.wav,0,0.1,test\n"))
    assert len(found(tmp_path, "librispeech + ms-snsd + tables")) == 8


def test_sound_beside_known_layouts_must_say_what_it_is(tmp_path):
    tree(tmp_path / "corp", *LIBRISPEECH, *MS_SNSD, "115 noises/n1.wav", "loose.wav")
    message = (
        r"corp holds LibriSpeech \(librispeech\), MS-SNSD \(ms-snsd\), and audio of unknown role "
        r"next to it: 115 noises, loose\.wav: put it into .*corp/speech \(one folder per talker\) or .*corp/noise"
    )
    with pytest.raises(InputError, match=message):
        scan(tmp_path / "corp")
    assert scan(tmp_path / "corp", layout="plain").layout == "plain"
    (tmp_path / "corp").rename(tmp_path / "noises")  # which says it
    assert scan(tmp_path / "noises").layout == "librispeech + ms-snsd + plain"


def test_noise_is_whole_also_with_names_of_noisex92(tmp_path):
    tree(tmp_path, "speech/anna/1.wav", *(f"noise/{kind}.wav" for kind in ("babble", "f16", "pink", "volvo", "white")))
    tree(tmp_path, "noise/rain.wav")
    assert len(found(tmp_path, "plain")) == 7


def test_mixtures_are_not_a_corpus(tmp_path):
    tree(tmp_path, "noisy/mix-00000.wav", ("manifest.csv", "id"))
    with pytest.raises(InputError, match="contains mixtures of undin mix: use the corpus they were mixed from"):
        scan(tmp_path)
    assert {clip.kind for clip in scan(tmp_path / "noisy", role="noise").rows} == {"noise"}  # not "mix"
