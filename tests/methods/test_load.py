"""What `load` says of names that it does not know."""

import pytest

import undin
from undin.errors import InputError


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("log-mse", "did you mean log-mmse"),
        ("ff-mask", "no weights of ff-mask come with undin: train some"),
        ("nothing at all", "there are .*log-mmse.*, or give a saved .npz or .onnx"),
        (undin.LogMMSE(), r"a method that is there is called, method\(x, sr\)"),
    ],
)
def test_unknown_names_get_a_cure(name, message):
    with pytest.raises(InputError, match=message):
        undin.load(name)
