import subprocess
import sys

import numpy as np
import pytest

from undin.audio import check_audio, resample
from undin.errors import InputError


def test_sound_input_is_returned_itself():
    for dtype in (np.float32, np.float64):
        x = np.zeros((2, 3, 10), dtype)
        assert check_audio(x, 16000) is x
    assert check_audio(np.zeros(10, np.float16), 16000).dtype == np.float32
    assert check_audio(np.zeros((2, 0), np.float32), 16000).shape == (2, 0)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_another_byte_order_keeps_its_precision(kind):
    x = np.array([1 / 3, -0.1], kind)
    y = check_audio(x.astype(x.dtype.newbyteorder("S")), 16000)
    assert y.dtype == x.dtype and y.dtype.isnative
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize(
    ("x", "sr", "message"),
    [
        (np.zeros(10, np.int16), 16000, r"got int16 of shape \(10,\): .*x / 32768"),
        (np.zeros(10, complex), 16000, "got complex128"),
        (np.float32(1), 16000, r"shape \(\)"),
        (np.zeros(10), 16000.0, "sr must be an int in 1000 to 768000 Hz; got 16000.0"),
        (np.zeros(10), 999, "got 999"),
        (np.zeros(10), 768_001, "got 768001"),
        (np.zeros(10), True, "got True"),
    ],
)
def test_bad_input(x, sr, message):
    with pytest.raises(InputError, match=message):
        check_audio(x, sr)


def test_first_bad_sample_in_time_is_named():
    x = np.zeros((2, 1000))
    x[0, 800], x[1, 500] = np.nan, -np.inf
    with pytest.raises(InputError, match=r"got -inf at sample 500 \(0\.500 s\) of channel 1"):
        check_audio(x, 1000)


def test_nan_zero_repairs_a_copy():
    x = np.ones(10, np.float32)
    x[3], x[4] = np.nan, np.inf
    y = check_audio(x, 8000, nan="zero")
    assert np.isnan(x[3]) and y.dtype == np.float32
    np.testing.assert_array_equal(y, [1, 1, 1, 0, 0, 1, 1, 1, 1, 1])
    with pytest.raises(InputError, match="nan must be"):
        check_audio(x, 8000, nan="drop")


def test_huge_but_finite_samples_pass():
    x = np.full(10, 3e38, np.float32)  # their sum overflows
    assert check_audio(x, 8000) is x


@pytest.mark.parametrize(
    ("sr_in", "sr_out"), [(48000, 16000), (44100, 16000), (16000, 44100), (8000, 48000), (192000, 8000)]
)
def test_resample_length_shape_and_sound(sr_in, sr_out):
    for n in (0, 1, 2, 100, 4001):
        y = resample(np.ones((3, 2, n), np.float32), sr_in, sr_out)
        assert y.shape == (3, 2, -(-n * sr_out // sr_in)) and y.dtype == np.float32
    t = np.arange(sr_in // 4) / sr_in
    y = resample(np.sin(2 * np.pi * 500 * t), sr_in, sr_out)
    expected = np.sin(2 * np.pi * 500 * np.arange(len(y)) / sr_out)
    edge = sr_out // 50
    np.testing.assert_allclose(y[edge:-edge], expected[edge:-edge], atol=2e-4)


def test_resample_to_the_same_rate_is_the_input():
    x = np.zeros(10)
    assert resample(x, 16000, 16000) is x


def test_import_is_light():
    code = "import sys, undin.audio; print([m for m in ('av', 'scipy', 'torch', 'onnxruntime') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_long_doubles_beyond_float32_are_refused_without_a_warning():
    with pytest.raises(InputError, match="must be finite; got inf at sample 1"):
        check_audio(np.array([0, 1e300], np.longdouble), 16000)
