"""The process between a run and a server: starts the server, and ends all that came of it when its own input closes.

The run holds the other end of the guard's standard input, so that the server ends with the run however that ends. What
the server started is found by a variable that it inherits, also where it left the process group or its parent. If the
guard itself is killed, the kernel ends the server (on Linux), and the run ends the rest.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

MARK = "UDACIHEADLINE_SERVER"  # inherited by all that a server starts
END_S = 10.0  # from SIGTERM to SIGKILL, where the run asked for the end
KILL_S = 10.0  # until what was killed must be gone
TICK_S = 0.05
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Arguments: the mark, the seconds that an end in order may take, then the command's words."""
    mark, end_s, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    # A terminal's interrupt is the run's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    library = _c_library()

    def end_with_guard() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if library is not None:
            library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    server = subprocess.Popen(
        command, env=os.environ | {MARK: mark}, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=end_with_guard
    )
    status = None
    while status is None and not _asked_to_end():
        status = server.poll()
    if status is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, signal.SIGTERM)
        until = time.monotonic() + (end_s if _ENDED_IN_ORDER else 0.0)
        while (status := server.poll()) is None and time.monotonic() < until:
            time.sleep(TICK_S)
    end_all(mark)
    server.wait()
    status = server.returncode
    os._exit(status if status >= 0 else 128 - status)


_ENDED_IN_ORDER: list[bool] = []


def _asked_to_end() -> bool:
    """Whether standard input has a line, for an end in order, or is closed."""
    if not select.select([0], [], [], TICK_S)[0]:
        return False
    if os.read(0, 64):
        _ENDED_IN_ORDER.append(True)
    return True


def _c_library():
    if sys.platform != "linux":
        return None
    import ctypes

    return ctypes.CDLL(None)


def end_all(mark: str) -> list[int]:
    """Kill every process with the mark until there is none; returns those that stay."""
    until = time.monotonic() + KILL_S
    while (left := marked(mark)) and time.monotonic() < until:
        for process in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(TICK_S / 5)
    return left


def marked(mark: str) -> list[int]:
    """Ids of this user's processes that inherited the mark and have not ended."""
    if not Path("/proc/self/environ").exists():
        return _marked_elsewhere(mark)
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            # Another user's, or one that has just ended.
            with contextlib.suppress(OSError), open(f"/proc/{entry.name}/environ", "rb") as environment:
                if wanted in environment.read().split(b"\0"):
                    found.append(int(entry.name))
    return found


def _marked_elsewhere(mark: str) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(process.pid)
    return found


if __name__ == "__main__":
    main()
