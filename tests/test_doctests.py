"""Every example in a docstring runs and gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

import undin

MODULES = [info.name for info in pkgutil.walk_packages(undin.__path__, "undin.") if info.name != "undin.__main__"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    if name.startswith("undin.training."):
        pytest.importorskip("torch", reason="the extra train is not installed")
    try:
        module = importlib.import_module(name)
    except undin.MissingExtraError as error:  # the optional packages that `make test` does not install
        pytest.skip(str(error))
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed
