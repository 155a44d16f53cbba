"""Claims: of all runs that share an output, one works on a file.

A claim is a small file, NAME.1.claim, which a store creates for one of all that ask. It is renewed during the work and
void `LEASE_S` after its last renewal, or once its process on this machine has ended; the next worker then creates one
with the next number. One that cannot be parsed, as it is being written or was cut off, counts as renewed when written.
"""

import errno
import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from undin.atomic import is_gone, this_machine
from undin.store import Folder, Store

LEASE_S = 60.0  # after its last renewal a claim is void
POLL_S, TRIES = 0.5, 10


def claim_name(file: str) -> str:
    """The name of the claim to a file, of any length and in any encoding."""
    return f".undin-{hashlib.sha256(os.fsencode(file)).hexdigest()[:16]}"


@contextmanager
def claim(
    place: Store, name: str, wait_until: float = 0.0, waiting: Callable[[str], object] = lambda holder: None
) -> Iterator[bool]:
    """Hold a claim; yields False if another run holds it.

    Args:
        place: where the claim is.
        name: of the claim, without its number.
        wait_until: time until which to wait for the other.
        waiting: called before waiting, with who holds the claim.

    Raises:
        OSError: the claim cannot be created.
    """
    token, until = secrets.token_hex(8), time.time() + LEASE_S  # before then it is ours without checking
    n = _create(place, name, token)
    if n is None and time.time() < wait_until:
        waiting(_holder(place, name))
    while n is None and time.time() < wait_until:
        time.sleep(POLL_S)
        until = time.time() + LEASE_S
        n = _create(place, name, token)
    if n is None:
        yield False
        return
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(place, f"{name}.{n}.claim", token, ended), daemon=True)
    thread.start()
    try:
        yield True
    finally:
        ended.set()
        thread.join()  # or it would write the claim once more
        for i in range(1, n + 1):
            with suppress(OSError):  # it will be void
                if (i == n and time.time() < until) or _is_free(place, f"{name}.{i}.claim", token):
                    place.remove(f"{name}.{i}.claim")


def clear_claims(folder: Path) -> None:
    """Remove the claims that dead processes have left in a folder, by taking them over: others may be about to."""
    place = Folder(folder)
    for path in folder.glob(".undin-*.1.claim"):
        with suppress(OSError):
            if (held := _look(place, path.name)) and _is_void(held):
                with claim(place, path.name.removesuffix(".1.claim")):
                    pass


def _create(place: Store, name: str, token: str) -> int | None:
    """Create the claim after all that are void; return its number, or None where another's is valid."""
    for attempt in range(TRIES):
        time.sleep(POLL_S if attempt else 0.0)
        n = _try(place, name, token)
        if n != 0:
            return n
    raise OSError(errno.EEXIST, "exists but cannot be read: remove it", place.at(f"{name}.1.claim"))


def _try(place: Store, name: str, token: str) -> int | None:
    """As `_create`; 0 where others removed claims meanwhile."""
    n = 1
    while not _is_created(place, f"{name}.{n}.claim", token):
        held = _look(place, f"{name}.{n}.claim")
        if not held:
            return 0
        if not _is_void(held):
            return None
        n += 1
    for i in range(1, n):  # whoever held n until now has removed these first, and another may begin at 1
        held = _look(place, f"{name}.{i}.claim")
        if not held or not _is_void(held):
            place.remove(f"{name}.{n}.claim")
            return 0
    return n


def _is_created(place: Store, name: str, token: str) -> bool:
    try:
        return place.create(name, _lease(token))
    except OSError as error:
        error.filename = None  # not a name that the user knows
        raise


def _lease(token: str) -> bytes:
    about = {"token": token, "until": time.time() + LEASE_S, "machine": this_machine(), "process": os.getpid()}
    return json.dumps(about).encode()


def _look(place: Store, name: str) -> dict[str, Any] | None:
    """A claim; None where none is."""
    data = place.read(name)
    if data is None:
        return None
    try:
        held = json.loads(data)
        about = {"token": held["token"], "until": float(held["until"])}
        return {**about, "machine": held.get("machine", ""), "process": int(held.get("process", 0))}
    except (LookupError, TypeError, ValueError):
        with suppress(FileNotFoundError):
            return {"token": None, "until": place.modified(name) + LEASE_S, "machine": "", "process": 0}
    return None


def _holder(place: Store, name: str) -> str:
    """Who holds a claim."""
    claims = takewhile(bool, (_look(place, f"{name}.{n}.claim") for n in count(1)))
    held = ([held for held in claims if held] or [{"process": 0}])[-1]
    if not held["process"]:
        return "another process"
    return f"process {held['process']}" + ("" if held["machine"] == this_machine() else " on another machine")


def _is_void(held: dict[str, Any]) -> bool:
    return bool(time.time() >= held["until"] or is_gone(held["machine"], held["process"]))


def _is_free(place: Store, name: str, token: str) -> bool:
    """Whether a claim is one's own, or nobody's any more."""
    held = _look(place, name)
    return held is not None and (held["token"] == token or _is_void(held))


def _renew(place: Store, name: str, token: str, ended: threading.Event) -> None:
    while not ended.wait(LEASE_S / 3):
        with suppress(OSError):  # there is time for another
            place.write(name, _lease(token))
