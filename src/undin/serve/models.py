"""The methods of the server: each is loaded once and shared by all requests, which never change it."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from undin.checks import suggest
from undin.errors import UndinError
from undin.methods import DEFAULT, LIVE, METHODS, SEPARATOR, Talkers, load
from undin.methods.base import Method
from undin.native import Compiled
from undin.serve.refusal import Refusal

DEFAULTS = (DEFAULT, LIVE, SEPARATOR)


class Models:
    """Gives the methods of `METHODS` by id; paths are not accepted.

    Args:
        compiled: networks whose live streams run in C.
    """

    def __init__(self, compiled: Sequence[Compiled] = ()) -> None:
        self._compiled = {each.id: each for each in compiled}
        self._loaded: dict[tuple[str, int | None], Method] = {}
        self._lock = threading.Lock()

    def enhancer(self, name: str | None, default: str = DEFAULT) -> Method:
        """A method that enhances; None for the default.

        Raises:
            Refusal: unknown, or it separates.
        """
        method = self._get(name or default)
        if method.n_src:
            raise Refusal(422, "wrong_method", f"{name} separates {method.n_src} talkers: use /v1/separate")
        return method

    def separator(self, name: str | None, talkers: Talkers) -> Method:
        """A method that separates; None for the default.

        Raises:
            Refusal: unknown, it enhances, or it gives another number of talkers.
        """
        name = name or SEPARATOR
        method = self._get(name)
        if talkers != "auto" and method.adjusts("talkers"):
            method = self._get(name, talkers)
        if not method.n_src:
            raise Refusal(422, "wrong_method", f"{name} enhances; it does not separate talkers: use /v1/enhance")
        if talkers not in ("auto", method.n_src):
            message = f"{name} separates {method.n_src} talkers; got talkers={talkers}: use deep-clustering"
            raise Refusal(422, "wrong_method", message)
        return method

    def compiled(self, method: Method, sr: int) -> Compiled | None:
        """What runs a method's streams at a sample rate in C, if anything does."""
        found = self._compiled.get(method.id)
        return found if found and found.takes(sr) else None

    def rows(self) -> list[dict[str, Any]]:
        """What /v1/methods lists: the methods that can run, the defaults for files, streams and talkers first."""
        rows = []
        for name in sorted(METHODS, key=lambda name: DEFAULTS.index(name) if name in DEFAULTS else len(DEFAULTS)):
            with suppress(UndinError):  # its weights are damaged
                rows.append(_row(name, self._get(name)))
        return rows

    def _get(self, name: str, talkers: int | None = None) -> Method:
        if name not in METHODS:
            raise Refusal(422, "unknown_method", f"unknown method {name[:80]!r}: {suggest(name[:80], METHODS)}")
        with self._lock:
            if (name, talkers) not in self._loaded:
                settings = {} if talkers is None else {"talkers": talkers}
                self._loaded[name, talkers] = load(name, **settings)
            return self._loaded[name, talkers]


def _row(name: str, method: Method) -> dict[str, Any]:
    card = method.card
    return {
        "id": name,
        "kind": card.kind,
        "default": name in DEFAULTS,
        "live": method.causal and not method.n_src,
        "latency_ms": method.latency_ms,
        "talkers": method.n_src,
        "summary": card.summary,
        "source": card.source,
        "licence": card.licence,
        "data": card.data,
        "parameters": card.parameters,
        "version": card.version,
    }
