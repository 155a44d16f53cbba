import importlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undin.errors import InputError

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")
pictures = importlib.import_module("undin.pictures")
panels = importlib.import_module("undin.pictures.panels")
AxesImage = importlib.import_module("matplotlib.image").AxesImage
Text = importlib.import_module("matplotlib.text").Text

SR = 16000


def noise(seconds=1.0, gain=0.1, sr=SR, seed=0):
    return gain * np.random.default_rng(seed).standard_normal(round(seconds * sr)).astype(np.float32)


def images(figure):
    return {axes.get_label(): axes.images[0] for axes in figure.axes if axes.images}


def test_all_panels_share_one_scale_whose_top_is_the_loudest_bin():
    x = noise()
    figure = pictures.spectrograms({"loud": x, "quiet": 0.01 * x}, SR)
    loud, quiet = images(figure)["loud"], images(figure)["quiet"]
    assert loud.get_clim() == quiet.get_clim() == (-80, 0)
    assert loud.get_array().max() == pytest.approx(0, abs=1e-4)
    assert quiet.get_array().max() == pytest.approx(-40, abs=1e-2)


@pytest.mark.parametrize("seconds", [1.0, 10.0, 60.0])
@pytest.mark.parametrize("sr", [8000, 44100])
def test_a_click_shows_where_and_when_it_is_at_any_length(seconds, sr):
    x = np.zeros(round(seconds * sr), np.float32)
    x[round(0.7 * seconds * sr)] = 1
    image = images(pictures.spectrograms({"click": x}, sr))["click"]
    level_db = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    assert (bottom, top) == (0, sr / 2000)
    assert level_db.shape[1] <= pictures.signals.N_COLUMNS + 1
    width = (right - left) / level_db.shape[1]
    brightest = left + (level_db.max(0).argmax() + 0.5) * width
    assert brightest == pytest.approx(0.7 * seconds, abs=1.01 * width)


def test_heat_maps_share_one_scale_and_show_a_row_at_its_height():
    maps = {"a": np.eye(4), "b": np.zeros((3, 8)), "empty": np.zeros((2, 0))}
    figure = pictures.heat_maps(maps, 0.032, title="t")
    found = images(figure)
    assert all(found[name].get_clim() == (0, 1) for name in maps)
    np.testing.assert_array_equal(found["a"].get_array(), np.eye(4))
    assert found["b"].get_extent() == pytest.approx((0, 8 * 0.032, -0.5, 2.5))
    for bad in ({}, {"a": np.zeros(3)}, {"a": np.full((2, 2), np.nan)}):
        with pytest.raises(InputError):
            pictures.heat_maps(bad, 0.032)


@pytest.mark.parametrize("khz", [0.5, 3.0, 7.5])
def test_a_tone_shows_at_its_frequency(khz):
    x = np.sin(2 * np.pi * 1000 * khz * np.arange(SR) / SR)
    level_db = np.asarray(images(pictures.spectrograms({"tone": x}, SR))["tone"].get_array())
    row = level_db.mean(1).argmax()
    assert (row + 0.5) / level_db.shape[0] * SR / 2000 == pytest.approx(khz, abs=0.05)


@settings(max_examples=15, deadline=None)
@given(n_samples=st.integers(1, 4000), n_fft=st.sampled_from([8, 64]), group=st.integers(1, 5))
def test_blocks_give_the_maximum_over_groups_of_the_whole_transform(n_samples, n_fft, group):
    from undin.spectrum import stft

    x = np.random.default_rng(n_samples).standard_normal((2, n_samples)).astype(np.float32)
    power = np.mean(np.abs(stft(x, n_fft, n_fft // 4, window="hann")) ** 2, 0)
    expected = [power[:, i : i + group].max(1) for i in range(0, power.shape[1], group)]
    np.testing.assert_allclose(
        pictures.signals._power(x, n_fft, n_fft // 4, group), np.stack(expected, 1), rtol=1e-3, atol=1e-5
    )


def test_channels_are_drawn_by_their_mean_power_and_the_title_says_so():
    x = noise()
    figure = pictures.spectrograms({"stereo": np.stack([x, 0 * x]), "mono": x}, SR, title="Street")
    stereo, mono = (np.asarray(image.get_array()) for image in images(figure).values())
    loud = mono > -60
    np.testing.assert_allclose((mono - stereo)[loud], 10 * np.log10(2), atol=0.01)
    assert figure.get_suptitle() == "Street · 2 channels together"


def test_one_array_needs_no_label():
    figure = pictures.spectrograms(noise(), SR)
    assert figure.axes[0].get_title(loc="left") == "" and list(images(figure)) == [""]


def test_max_seconds_cuts_and_says_so():
    figure = pictures.spectrograms({"x": noise(3), "y": noise(1)}, SR, max_seconds=2)
    assert figure.get_suptitle() == "first 2 s"
    assert figure.axes[0].get_xlim() == (0, 2)
    assert pictures.spectrograms({"x": noise(1)}, SR, max_seconds=2).get_suptitle() == ""


@pytest.mark.parametrize("draw", [pictures.spectrograms, pictures.waveforms])
def test_pictures_are_reproducible_and_inputs_stay_untouched(draw, tmp_path):
    x = noise()
    before = x.copy()
    for name in ("a.png", "b.png"):
        draw({"noisy $x_1$": x, "<clean>": x / 2}, SR, tmp_path / name, title="50 % & more")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("draw", [pictures.spectrograms, pictures.waveforms])
@pytest.mark.parametrize("n_samples", [0, 1, 100])
def test_silent_short_and_empty_signals_are_drawn(draw, n_samples):
    pictures.shot(draw({"x": np.zeros(n_samples), "y": np.zeros((2, n_samples))}, SR))


def test_masks_show_when_and_where_they_pass():
    M = np.zeros((257, 125))
    M[64, 100:] = 1.0
    figure = pictures.masks({"real": M, "imaginary": -M}, SR, 256, title="a mask")
    shown = images(figure)
    assert figure.get_suptitle() == "a mask" and list(shown) == ["real", "imaginary"]
    for sign, image in zip((1, -1), shown.values(), strict=True):
        assert image.get_clim() == (-1, 1) and image.get_extent() == [0, 2.0, 0, 8.0]
        np.testing.assert_array_equal(image.get_array(), sign * M)


def test_waveforms_keep_every_peak_and_share_one_scale():
    x = np.zeros(30 * SR, np.float32)
    x[123_457] = -0.9
    figure = pictures.waveforms({"x": x, "y": 0.1 * x}, SR)
    low = [axes.collections[0].get_paths()[0].vertices[:, 1].min() for axes in figure.axes]
    np.testing.assert_allclose(low, [-0.9, -0.09], rtol=1e-5)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


@pytest.mark.parametrize("width", [None, 3.6])
def test_panels_lie_where_the_picture_shows_them(width):
    """A white signal makes its panel bright: the box of the panel must hold the bright pixels and nothing else."""
    import io

    figure = pictures.spectrograms({"a": noise(), "b": np.zeros(SR // 2)}, SR)
    shot = pictures.shot(figure, width=width)
    with Image.open(io.BytesIO(shot.dark)) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert list(shot.panels) == ["a", "b"]
    left, top, wide, high, start, stop = shot.panels["a"]
    assert (start, stop) == (0, 1)
    rows, columns = pixels.shape[:2]
    inside = pixels[round(top * rows) + 4 : round((top + high) * rows) - 4]
    colored = np.ptp(inside, -1)[:, : round((left + wide + 0.005) * columns)].max(0) > 60
    edges = np.flatnonzero(colored)[[0, -1]] / columns
    np.testing.assert_allclose(edges, [left, left + wide], atol=4 / columns)


def test_png_keeps_the_ground_of_the_page_and_the_figure_as_it_was():
    import io

    decay = noise() * np.exp(-6 * np.arange(SR) / SR)  # has so many dark colors that the ground is drawn toward them
    figure = pictures.spectrograms({"x": decay}, SR)
    size = figure.get_size_inches().tolist()
    shot = pictures.shot(figure, width=3)
    for image, ground in ((shot.light, (255, 255, 255)), (shot.dark, tuple(bytes.fromhex(pictures.panels.DARK[1:])))):
        with Image.open(io.BytesIO(image)) as picture:
            assert picture.width == 3 * pictures.panels.DPI
            assert picture.convert("RGB").getpixel((0, 0)) == ground
    assert figure.get_size_inches().tolist() == size
    assert figure.get_facecolor()[:3] == (1, 1, 1)


def test_a_shot_resamples_images_once_and_lights_every_text_of_the_dark_one(monkeypatch):
    resampled, darkened = [], []
    make_image, darken = AxesImage.make_image, panels._darken
    monkeypatch.setattr(AxesImage, "make_image", lambda self, *args: resampled.append(self) or make_image(self, *args))
    monkeypatch.setattr(panels, "_darken", lambda figure: darkened.append(figure) or darken(figure))
    figure = pictures.spectrograms({"a": noise(), "b": noise()}, SR, title="both")
    figure.axes[0].plot([0, 1], [0, 8], label="a line")
    figure.axes[0].inset_axes((0.2, 0.2, 0.3, 0.3)).set_title("inset")
    figure.axes[0].legend()
    figure.legend(loc="outside upper left")
    pictures.shot(figure)
    assert len(resampled) == 2
    shown = [text for text in darkened[0].findobj(Text) if text.get_text()]
    assert {"both", "a line", "inset", "kHz", "dB (0 = loudest)"} <= {text.get_text() for text in shown}
    assert {text.get_color() for text in shown} == {panels.ON_DARK}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pictures.spectrograms({}, SR), "signals must contain at least one signal; got none"),
        (lambda: pictures.spectrograms([np.ones(9)], SR), 'an array or a dict of them; got a list: pass {"noisy": x'),
        (lambda: pictures.spectrograms({"x": np.ones(9, int)}, SR), r"signals\['x'\] must be floating point .*int64"),
        (
            lambda: pictures.waveforms({"x": np.array([0, np.nan])}, SR),
            r"signals\['x'\] must be finite; got nan at \[1\]",
        ),
        (lambda: pictures.waveforms({"x": np.ones(9)}, 1.5), "sr must be a positive whole number of Hz; got 1.5"),
        (lambda: pictures.waveforms({"x": np.ones(9)}, SR, max_seconds=0), "max_seconds must be above 0; got 0"),
        (lambda: pictures.spectrograms({"x": np.ones(9)}, SR, range_db=-3), "range_db must be above 0; got -3"),
        (lambda: pictures.masks({}, SR, 256), "planes must be real, .* and limit above 0; got 0 and 1"),
        (lambda: pictures.masks({"M": np.ones((2, 3), complex)}, SR, 256), r"got M of shape \(2, 3\)"),
        (lambda: pictures.waveforms({"x": np.ones(9)}, SR, "x.bmp"), r"path must end in .png, .pdf, .svg; got 'x.bmp'"),
        (lambda: pictures.masks({"M": np.ones((2, 3))}, SR, 256, "far/x.png"), "far/x.png: no such folder: far"),
    ],
)
def test_bad_input_is_an_error_with_the_reason(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_drawing_leaves_no_global_state_and_importing_stays_light():
    code = (
        "import sys, numpy as np, undin.pictures as p; light = 'matplotlib' not in sys.modules;"
        "p.spectrograms({'x': np.ones(999)}, 8000); print(light, 'matplotlib.pyplot' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["True", "False"]


def test_masks_and_points_are_drawn_and_wrong_shapes_are_named(tmp_path):
    rng = np.random.default_rng(0)
    planes = {"voice": rng.random(30), "mask": rng.random((129, 30))}
    figure = pictures.masks(planes, 8000, 128, tmp_path / "m.png", title="t")
    assert [axes.get_label() for axes in figure.axes[:2]] == ["voice", "mask"] and (tmp_path / "m.png").exists()
    V = rng.standard_normal((50, 5))
    figure = pictures.points(V, {"truth": np.arange(50) % 2, "found": np.zeros(50)}, tmp_path / "p.png", title="t")
    assert len(figure.axes) == 2 and (tmp_path / "p.png").exists()
    assert len(pictures.points(V, {}).axes) == 1
    with pytest.raises(InputError, match="planes must be"):
        pictures.masks({"a": np.zeros((2, 2, 2))}, 8000, 128)
    with pytest.raises(InputError, match=r"labels \(n,\); got \(50, 5\) and \(49,\)"):
        pictures.points(V, {"a": np.zeros(49)})


@pytest.mark.parametrize(
    ("name", "most", "shown"),
    [
        ("a" * 40, 40, "a" * 40),
        ("a" * 41, 40, "a" * 36 + " ..."),
        ("noisy, 5 dB", 8, "nois ..."),
        ("\udcff.wav", 40, "\\udcff.wav"),
    ],
)
def test_long_names_are_cut_to_their_room_and_any_file_name_can_be_drawn(name, most, shown):
    assert pictures.panels.shortened(name, most) == shown and len(shown) <= most
