"""Files that a process which was killed has left half-written."""

import os
import re
import time
from pathlib import Path

PART = re.compile(r"\..+\.(\d+)\.part")
OLD_S = 10.0  # no file is written for so long; a younger one may be that of another machine on the same disk


def clear_strays(folder: Path) -> None:
    """Remove hidden parts of files, in a folder and below, whose process is gone."""
    if os.name != "posix":
        return  # elsewhere signal 0 does not ask whether a process lives
    for parent, _, names in os.walk(folder):
        for name in names:
            found = PART.fullmatch(name)
            path = Path(parent, name)
            try:
                if found and not _is_alive(int(found[1])) and time.time() - path.stat().st_mtime > OLD_S:
                    path.unlink(missing_ok=True)
            except OSError:
                continue


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
