"""The fuzzer, short and from fixed seeds; `make fuzz` runs it long."""

import warnings
from types import SimpleNamespace

import pytest
from tests.fuzz.runner import BAD, TARGETS, Fuzzer
from tests.fuzz.worker import attempt, replay

N = {"readers": 40, "arrays": 40, "chunkings": 12, "models": 40, "manifests": 12, "recipes": 40, "config_ini": 12}


def test_no_input_breaks_anything(tmp_path):
    pytest.importorskip("av", reason="the extra video is not installed: pip install undin[video]")
    pytest.importorskip("onnx", reason="the extra train is not installed: pip install undin[train]")
    fuzzer = Fuzzer(TARGETS, tmp_path, watchdog_s=200)
    for target in TARGETS:
        fuzzer.batch(target, 0, N[target])
        assert fuzzer.counts[target].total() > N[target] / 2
        assert fuzzer.counts[target]["rejected"] and fuzzer.counts[target]["processed"]
    fuzzer.close()
    assert not fuzzer.findings, "\n".join(map(str, fuzzer.findings))


def test_what_breaks_is_counted_and_kept(tmp_path, capsys, monkeypatch):
    fuzzer, seed = Fuzzer(["broken"], tmp_path, watchdog_s=2), 0
    while not {*BAD, "processed", "rejected"} <= fuzzer.counts["broken"].keys():
        fuzzer.batch("broken", seed, 6)
        seed += 1
        assert seed < 30
    fuzzer.close()
    kept = {finding.verdict: finding.reproducer for finding in fuzzer.findings}
    assert kept.keys() == set(BAD)
    assert "KeyError" in next(f.details for f in fuzzer.findings if f.verdict == "uncaught")
    assert "half-written" in fuzzer.table()
    monkeypatch.chdir(tmp_path)
    assert replay(kept["uncaught"]) == 1 and "KeyError" in capsys.readouterr().out


def test_warnings_of_arithmetic_and_long_computing_are_findings(tmp_path, monkeypatch):
    warns = SimpleNamespace(attempt=lambda case, folder: warnings.warn("overflow", RuntimeWarning, stacklevel=1))
    fine = SimpleNamespace(attempt=lambda case, folder: warnings.warn("a note", UserWarning, stacklevel=1))
    assert attempt(warns, None, tmp_path / "work")[0] == "uncaught"
    assert attempt(fine, None, tmp_path / "work") == ("processed", "")
    monkeypatch.setattr("tests.fuzz.worker.SLOW_S", -1.0)
    assert attempt(fine, None, tmp_path / "work")[0] == "hung"
