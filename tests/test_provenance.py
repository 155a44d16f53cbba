"""Where a result comes from: commit, versions, machine, digests."""

import hashlib
import re

import numpy as np

from undin import provenance


def test_the_commit_is_of_undins_own_sources(monkeypatch):
    found = provenance.commit()
    assert found is None or re.fullmatch(r"[0-9a-f]{12}\+?", found)
    monkeypatch.setenv("PATH", "")  # a machine without git
    assert provenance.commit() is None


def test_versions_are_the_installed_ones():
    assert provenance.versions(["numpy", "no-such-package"]) == {"numpy": np.__version__}


def test_the_machine_is_named():
    machine = provenance.machine()
    assert set(machine) == {"system", "processor", "cores"} and machine["cores"] >= 1 and machine["processor"]


def test_the_digest_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert provenance.sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
