import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from undin.audio import resample
from undin.errors import InputError
from undin.page import Cell, Group, folded, prose, table, write_page, write_sections

SR = 8000
VOID = {"meta", "link", "input", "img", "source", "br"}
NASTY = """<script>alert("1")</script> & 'so' on"""


class Page(HTMLParser):
    """Every element with its attributes, and the text outside script and style; fails where tags do not nest."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def signal(seed=0, shape=(800,)):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def content(uri):
    head, _, data = uri.partition(",")
    return re.fullmatch(r"data:(\w+/\w+);base64", head)[1], base64.b64decode(data, validate=True)


def samples(uri):
    media_type, file = content(uri)
    assert media_type == "audio/flac" and file[:4] in (b"fLaC", b"RIFF")
    x, sr = soundfile.read(io.BytesIO(file))
    return x.T, sr


@pytest.mark.parametrize("shape", [(800,), (1, 800), (2, 800), (0,)])
def test_the_page_plays_the_samples_it_was_given(tmp_path, shape):
    x = signal(shape=shape)
    before = x.copy()
    page = Page(
        write_page(tmp_path / "p.html", title="t", players={"a": {"noisy": (x, SR), "enhanced": (x / 2, 16000)}})
    )
    for audio, (expected, sr) in zip(page.all("audio"), [(x, SR), (x / 2, 16000)], strict=True):
        y, got_sr = samples(audio["src"])
        assert got_sr == sr
        np.testing.assert_allclose(y, expected.squeeze(0) if shape[0] == 1 else expected, atol=0.5001 / 32768)
    np.testing.assert_array_equal(x, before)


def test_sound_is_flac_where_flac_can_hold_it(tmp_path):
    tone = 0.1 * np.sin(np.arange(16000) / 9).astype(np.float32)
    sounds = {"mono": (tone, SR), "stereo": (np.stack([tone, tone]), SR), "nine": (np.tile(tone, (9, 1)), SR)}
    uris = [
        audio["src"] for audio in Page(write_page(tmp_path / "p.html", title="t", players={"a": sounds})).all("audio")
    ]
    mono, stereo, nine = (content(uri)[1] for uri in uris)
    assert (mono[:4], stereo[:4], nine[:4]) == (b"fLaC", b"fLaC", b"RIFF")
    assert len(mono) < 0.8 * 2 * len(tone)


def test_an_unknown_codec_is_refused(tmp_path):
    sounds = {"x": (np.zeros(100), 16000)}
    with pytest.raises(InputError, match=r"codec must be one of flac, opus; got 'mp3'"):
        write_page(tmp_path / "p.html", title="t", players={"a": sounds}, codec="mp3")


@pytest.mark.parametrize(("sr", "rate"), [(8000, 8000), (11025, 12000), (44100, 48000), (96000, 48000)])
def test_opus_keeps_length_and_sound_at_a_fraction_of_the_size(tmp_path, sr, rate):
    t = np.arange(2 * sr) / sr
    x = np.stack([0.1 * np.sin(2 * np.pi * hz * (t + t**2)) for hz in (300, 500)])
    sounds = {"stereo": (x, sr), "three": (np.tile(x[0], (3, 1)), sr), "empty": (x[0, :0], sr)}
    page = Page(write_page(tmp_path / "p.html", title="t", players={"a": sounds}, codec="opus"))
    (kind, file), *others = (content(audio["src"]) for audio in page.all("audio"))
    y, got = soundfile.read(io.BytesIO(file))
    assert (kind, file[:4], got, len(y)) == ("audio/ogg", b"OggS", rate, 2 * rate)
    assert len(file) < 0.4 * 2 * x.size and {other[:4] for _, other in others} == {b"fLaC", b"RIFF"}
    assert np.corrcoef(resample(x[0], sr, rate), y[:, 0])[0, 1] > 0.99


def test_a_slider_blends_enhanced_signals_with_the_unprocessed_one(tmp_path):
    players = {name: {label: (signal(), SR) for label in labels} for name, labels in {"a": "xyz", "b": "yz"}.items()}
    page = Page(write_page(tmp_path / "p.html", title="t", players=players, dry="x", wet=["z", "?"]))
    assert [(e["data-dry"], e["data-wet"]) for e in page.all("input") if "data-dry" in e] == [("0", "2")]
    assert "Strength" not in Page(write_page(tmp_path / "q.html", title="t", players=players)).text


def test_samples_that_were_16_bits_come_through_exactly(tmp_path):
    x = np.arange(-32768, 32768) / 32768
    page = Page(write_page(tmp_path / "p.html", title="t", players={"a": {"x": (x, SR)}}))
    np.testing.assert_array_equal(samples(page.all("audio")[0]["src"])[0], x)


def test_signals_over_full_scale_are_turned_down_together_and_it_is_said(tmp_path):
    x = signal()
    x[0] = 1
    page = Page(write_page(tmp_path / "p.html", title="t", players={"a": {"loud": (2 * x, SR), "soft": (0.5 * x, SR)}}))
    loud, soft = (samples(audio["src"])[0] for audio in page.all("audio"))
    np.testing.assert_allclose(loud, x, atol=1.001 / 32768)
    np.testing.assert_allclose(soft, x / 4, atol=0.5001 / 32768)
    assert "Attenuated by 6.0 dB, all equally" in page.text
    assert "Attenuated" not in Page(write_page(tmp_path / "q.html", title="t", players={"a": {"x": (x, SR)}})).text


def test_files_are_embedded_as_they_are(tmp_path):
    (tmp_path / "x.flac").write_bytes(b"fLaC and so on")
    (tmp_path / "x.png").write_bytes(b"PNG and so on")
    path = write_page(
        tmp_path / "p.html",
        title="t",
        players={"a": {"x": tmp_path / "x.flac"}},
        pictures={"a": str(tmp_path / "x.png"), "b": b"PNG bytes"},
    )
    page = Page(path)
    assert content(page.all("audio")[0]["src"]) == ("audio/flac", b"fLaC and so on")
    assert [content(image["src"]) for image in page.all("img")] == [
        ("image/png", b"PNG and so on"),
        ("image/png", b"PNG bytes"),
    ]


def test_everything_that_comes_in_is_escaped(tmp_path):
    path = write_page(
        tmp_path / "p.html",
        title=NASTY,
        intro=NASTY + "\n\n" + NASTY,
        players={NASTY: {NASTY: (signal(), SR)}},
        pictures={NASTY: b"png"},
        tables={NASTY: [{NASTY: NASTY, "b" + NASTY: NASTY}]},
    )
    page = Page(path)
    assert len(page.all("script")) == 1
    assert "<script>alert" not in page.source
    assert page.text.count(NASTY) == 1 + 1 + 2 + 1 + 2 + 4  # title, h1, intro, h2, label twice, cells
    assert page.all("audio")[0]["aria-label"] == NASTY
    assert page.all("img")[0]["alt"] == NASTY


def test_the_page_asks_for_nothing_outside_itself(full):
    assert "http" not in full.source
    assert "url(" not in full.source
    assert "@import" not in full.source
    for _, attrs in full.elements:
        for name in ("src", "href", "srcset"):
            assert attrs.get(name, "data:").startswith("data:")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return Page(full_page(tmp_path_factory.mktemp("page") / "p.html"))


def full_page(path):
    pytest.importorskip("matplotlib")
    from undin import pictures

    x = signal(shape=(4000,))
    return write_page(
        path,
        title="Demo",
        intro="One.\n\nTwo.",
        players={"street": {"noisy": (x, SR), "clean": (x / 2, SR)}, "café": {"noisy": (x, SR)}},
        pictures={"street": pictures.spectrograms({"noisy": x, "clean": x / 2}, SR)},
        tables={"street": [{"": "noisy (input)", "SI-SDR dB": 5.0, "PESQ": None, "why": "too long"}]},
    )


def test_a_figure_comes_wide_and_narrow_light_and_dark_with_a_box_per_signal(full):
    shots = [image["src"] for image in full.all("img")] + [source["srcset"] for source in full.all("source")]
    assert len(set(shots)) == 4
    assert all(content(uri)[1].startswith(b"\x89PNG") for uri in shots)
    assert {source["media"] for source in full.all("source")} == {"screen and (prefers-color-scheme: dark)"}
    assert full.all("img")[0]["alt"] == "street: noisy, clean"
    panels = [attrs for attrs in full.all("div") if attrs.get("class") == "panel"]
    assert [panel["data-signal"] for panel in panels] == ["0", "1"] * 2
    assert {(panel["data-start"], panel["data-stop"]) for panel in panels} == {("0.0000", "0.5000")}


def test_names_over_a_figure_are_escaped_too(tmp_path):
    pytest.importorskip("matplotlib")
    from undin import pictures

    figure = pictures.waveforms({NASTY: signal()}, SR)
    page = Page(write_page(tmp_path / "p.html", title="t", pictures={NASTY: figure}))
    assert {image["alt"] for image in page.all("img")} == {f"{NASTY}: {NASTY}"}


def test_sections_join_what_shares_a_name_in_order(full):
    assert full.source.count("<section>") == 2
    street, cafe = full.source.split("<section>")[1:]
    assert street.index("<h2>") < street.index("<audio") < street.index("<img") < street.index("<table")
    assert "<table" not in cafe
    assert "<h2>café</h2>" in cafe
    assert "<p>One.</p>\n<p>Two.</p>" in full.source


def test_without_scripts_every_signal_has_its_own_player(full):
    assert [audio["aria-label"] for audio in full.all("audio")] == ["noisy", "clean", "noisy"]
    assert all("controls" in audio for audio in full.all("audio"))
    assert all("hidden" in attrs for attrs in full.all("div") if attrs.get("class") == "controls")
    assert not any("hidden" in attrs for attrs in full.all("div") if attrs.get("class") == "plain")


def test_each_player_has_its_own_group_of_choices_the_first_chosen(full):
    radios = [attrs for attrs in full.all("input") if attrs["type"] == "radio"]
    assert [(radio["value"], "checked" in radio) for radio in radios] == [("0", True), ("1", False), ("0", True)]
    assert len({radio["name"] for radio in radios}) == 2


def test_tables_show_every_column_and_say_what_is_missing(tmp_path):
    rows = [
        {"method": "input", "SI-SDR dB": -5.0, "n": 12},
        {"method": "nmf", "SI-SDR dB": "4.1 ± 0.2", "n": 12, "PESQ": float("nan"), "note": "too short"},
        {"method": "x", "SI-SDR dB": float("-inf"), "n": None},
    ]
    page = Page(write_page(tmp_path / "p.html", title="t", tables={"Scores": rows, "none": []}))
    body = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", page.source)
    cells = [re.sub("<.*?>", "", cell) for cell in body]
    assert cells[:5] == ["method", "SI-SDR dB", "n", "PESQ", "note"]
    assert cells[5:10] == ["input", "−5.00", "12", "–", "–"]
    assert cells[10:15] == ["nmf", "4.1 ± 0.2", "12", "–", "too short"]
    assert cells[15:] == ["x", "−∞", "–", "–", "–"]
    classes = [attrs.get("class") for attrs in page.all("th") if attrs["scope"] == "col"]
    assert classes == ["text", "number", "number", "number", "text"]


def test_writing_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "p.html"
    path.write_text("old")
    assert write_page(str(path), title="new") == path
    assert "<h1>new</h1>" in path.read_text("utf-8")
    with pytest.raises(InputError):
        write_page(path, title="newer", players={"a": {}})
    assert "<h1>new</h1>" in path.read_text("utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["p.html"]


def test_the_same_content_gives_the_same_bytes(full, tmp_path):
    assert full_page(tmp_path / "p.html").read_text("utf-8") == full.source


def test_the_dark_ground_of_the_page_is_that_of_its_pictures(tmp_path):
    from undin.pictures import panels

    assert f"--ground: {panels.DARK};" in write_page(tmp_path / "p.html", title="t").read_text("utf-8")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"players": {"a": {}}}, r"players\['a'\] must contain at least one signal; got none"),
        ({"players": {"a": {"b": (np.ones(9, int), SR)}}}, r"players\['a'\]\['b'\] must be floating point .* int64"),
        ({"players": {"a": {"b": (np.ones((1, 1, 9)), SR)}}}, r"got float64 of shape \(1, 1, 9\)"),
        ({"players": {"a": {"b": (np.full(9, np.inf), SR)}}}, r"players\['a'\]\['b'\] must be finite"),
        ({"players": {"a": {"b": (np.ones(9), 0)}}}, "positive whole number of Hz; got 0"),
        ({"players": {"a": {"b": "x.aiff"}}}, r"browsers show .wav, .flac.*; got 'x.aiff': convert it"),
        ({"pictures": {"a": "x.tiff"}}, r"browsers show .png.*; got 'x.tiff'"),
    ],
)
def test_bad_input_is_an_error_with_the_reason(tmp_path, what, message):
    with pytest.raises(InputError, match=message):
        write_page(tmp_path / "p.html", title="t", **what)
    assert not list(tmp_path.iterdir())


def test_sections_take_any_parts_and_are_listed_on_request(tmp_path):
    parts = {"One & 1": [prose("a <b>\n\nc"), folded("more <", table("t", [{"": "x", "v": 1.0}]))], "Two": []}
    page = Page(write_sections(tmp_path / "p.html", title="t", sections=parts, contents=True))
    assert [link["href"] for link in page.all("a")] == ["#part-0", "#part-1"]
    assert [section["id"] for section in page.all("section")] == ["part-0", "part-1"]
    assert "<p>a &lt;b&gt;</p>\n<p>c</p>" in page.source and "<summary>more &lt;</summary>" in page.source
    plain = Page(write_sections(tmp_path / "q.html", title="t", sections=parts))
    assert not plain.all("nav") and "id" not in plain.all("section")[0]


def test_cells_say_more_and_groups_head_their_rows(tmp_path):
    rows = [
        Group("rain & wind", {"v": "n 3"}),
        {"": "input", "v": Cell("1.0 ± 0.2", "<n> 3\nlate"), "w": None},
        {"": "best", "v": Cell(2.0, best=True), "w": 3},
    ]
    source = table("t", rows)
    assert (
        '<tr class="group"><th scope="rowgroup"><span>rain</span> <span>&amp;</span> <span>wind</span></th>' in source
    )
    assert '<td class="number">n 3</td><td class="number"></td></tr>' in source
    assert '<td class="number">1.0 ± 0.2<small>&lt;n&gt; 3</small><small>late</small></td>' in source
    assert "<strong>2.00</strong>" in source and source.count("<strong>") == 1
