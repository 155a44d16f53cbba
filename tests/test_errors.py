import sys
from pathlib import Path

import pytest

from undin.errors import MissingExtraError, require


@pytest.mark.parametrize(
    ("found", "pip"), [(Path(sys.executable).with_name("pip"), "pip"), (None, f"{sys.executable} -m pip")]
)
def test_an_extra_is_installed_where_undin_is(monkeypatch, found, pip):
    monkeypatch.setattr("shutil.which", lambda _: found)
    with pytest.raises(MissingExtraError) as error:
        require("no_such_module.sub", extra="train")
    assert str(error.value) == f'no_such_module is required but not installed: {pip} install "undin[train]"'
