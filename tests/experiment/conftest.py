"""Runs of a few steps spend most of their time on pictures; fixtures of a module are made with them."""

from importlib.util import find_spec

import pytest


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undin.evaluation.report.page.can_draw", lambda: False)
    if find_spec("lightning"):
        monkeypatch.setattr("undin.training.callback.draw_curve", lambda *_: None)
