import json

import pytest

from undin.methods import METHODS, load


def test_the_table_names_every_method(undin, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = undin("models")
    assert (code, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["id", "kind", "delay", "parameters", "summary"]
    assert [row.split()[0] for row in rows[: len(METHODS)]] == list(METHODS)
    assert "32 ms" in next(row for row in rows if row.startswith("log-mmse"))
    for name, use in (("lull", "live audio"), ("hush", "files")):
        assert f"the default for {use}" in next(row for row in rows if row.startswith(name))


def test_json(undin):
    rows = [json.loads(line) for line in undin("models", "--json").out.splitlines()]
    assert [row["id"] for row in rows] == list(METHODS)
    row = next(row for row in rows if row["id"] == "log-mmse")
    assert all(row["si_sdr_gain_db"] > 3 for row in rows)
    versions = {row["id"]: row["version"] for row in rows if row["parameters"]}
    assert versions.pop("lull") == "2" and set(versions.values()) == {"1"}
    assert row["causal"] is True and row["latency_ms"] == 32 and row["config"]["n_fft"] == 512


def test_one_card_shows_all_of_it(undin):
    code, out, _ = undin("models", "log-mmse")
    assert code == 0
    for name, value in vars(load("log-mmse").config).items():
        assert f"{name}={value}" in out
    assert "Cohen 2002" in out and "license" in out and "32 ms" in out


@pytest.mark.parametrize("args", [["models", "logmmse"], ["models", "logmmse", "--json"]])
def test_an_unknown_one(undin, args):
    assert undin(*args) == (2, "", "undin: unknown method 'logmmse': did you mean log-mmse?\n")
