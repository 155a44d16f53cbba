"""What `load` says of names that it does not know."""

import numpy as np
import pytest

import undin
from undin.errors import InputError


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("log-mse", "did you mean log-mmse"),
        ("ff-mask", "undin ships no weights for ff-mask: train a model"),
        ("nothing at all", "known: .*log-mmse.*, or use a saved .npz or .onnx"),
        (undin.LogMMSE(), r"call a loaded method as method\(x, sr\)"),
    ],
)
def test_unknown_names_get_a_cure(name, message):
    with pytest.raises(InputError, match=message):
        undin.load(name)


def test_a_method_that_is_there_is_taken_by_enhance_and_separate():
    x = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    gate = undin.load("spectral-gate", n_fft=256, hop_length=64)
    np.testing.assert_array_equal(undin.enhance(x, 16000, method=gate, limit_db=6), gate(x, 16000, limit_db=6))
    nmf = undin.NMF(n_speech=4, fit_iter=2).fit_talkers([x, x[::-1].copy()], 16000)
    np.testing.assert_array_equal(undin.separate(x, 16000, talkers=2, method=nmf), nmf(x, 16000))
    with pytest.raises(InputError, match="'spectral-gate' enhances; it does not separate talkers: use enhance"):
        undin.separate(x, 16000, method=gate)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: undin.enhance(x, 16000, limitdb=3), "unknown setting 'limitdb' for hush: did you mean limit_db?"),
        (
            lambda x: undin.enhance(x, 16000, zzz=3),
            "'zzz' for hush: known: limit_db, independent, nan, channels_last, method$",
        ),
        (lambda x: undin.enhance(x, 16000, method="log-mmse", n_ftt=3), "'n_ftt' for log-mmse: did you mean n_fft?"),
        (lambda x: undin.separate(x, 16000, speed=[1.1]), "'speed' for blstm-mask: did you mean speeds?"),
        (lambda x: undin.separate(x, 16000, speeds=1), "speeds must be a list, each a finite number, 0.5 to 2; got 1"),
        (
            lambda x: undin.separate(x, 16000, speeds=["a"]),
            "speeds must be a list, each a finite number.*; got .'a'.",
        ),
        (lambda x: undin.enhance("noisy.wav", 16000), r"got the path 'noisy.wav': x, sr = undin.read\(path\)"),
        (lambda x: undin.load("lull", zzz=3), "unknown setting 'zzz' for lull: it takes none"),
    ],
)
def test_invalid_requests_list_the_valid_choices(call, message):
    with pytest.raises(InputError, match=message):
        call(np.zeros(8000, np.float32))


def test_other_programs_are_rejected_with_how_to_run_them():
    with pytest.raises(InputError, match="DeepFilterNet is another program; undin compare FILE --cmd"):
        undin.load("DeepFilterNet")


@pytest.mark.parametrize("shape", [(4000, 2), (4000,)])
def test_channels_may_be_last(shape):
    x = 0.1 * np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y = undin.enhance(x, 16000, method="log-mmse", channels_last=True)
    np.testing.assert_array_equal(y, undin.enhance(x.T, 16000, method="log-mmse").T)
    s = undin.separate(x, 16000, method="lstm-mask", channels_last=True)
    np.testing.assert_array_equal(s[1], undin.separate(x.T, 16000, method="lstm-mask")[1].T)
