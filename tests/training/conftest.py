"""Without the extra `train` each file of tests here is skipped; with it they share a little network."""

from importlib.util import find_spec
from pathlib import Path

import pytest


class Untested(pytest.Module):
    def collect(self) -> list[pytest.Item]:
        pytest.skip("needs the extra train: torch is not installed", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return None if find_spec("torch") else Untested.from_parent(parent, path=module_path)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a few steps spend four fifths of their time on the curve; fixtures of a module are made with it."""
    monkeypatch.setattr("undin.training.callback.draw_curve", lambda *_: None)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    from toy_network import Toy, ToyNet

    from undin.methods import LEARNED
    from undin.training.nets import NETS

    monkeypatch.setitem(NETS, "toy", ToyNet)
    monkeypatch.setitem(LEARNED, "toy", Toy)
