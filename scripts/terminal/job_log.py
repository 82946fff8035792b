"""What a job's log says of its failure, in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.foundation import text

MAX_BYTES = 65536
MAX_SHOWN = 600  # characters of a sentence
ERROR = "error: "  # how a stage begins its own sentence
KILLED = "it may have been killed, as when memory runs out"
# A progress bar: what is done, its share, and how many of how many.
_PROGRESS = re.compile(r"(?P<what>[^|%]*?):?\s*\d+%\|[^|]*\|\s*(?P<done>\S+)?")


def reason(log: Path) -> str:
    """The job's own sentence, or else the last line that it wrote, such as that of a traceback; without a full stop.

    A progress bar is no reason: a job whose log ends with one was ended from outside.
    """
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, log.stat().st_size - MAX_BYTES))
            lines = handle.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return "it ended without a log"
    written = [line.strip() for line in lines if line.strip()]
    own = [line.removeprefix(ERROR) for line in written if line.startswith(ERROR)]
    if not written:
        return f"it ended without a word; {KILLED}"
    if not own and (bar := _PROGRESS.match(written[-1])):
        place = " ".join(filter(None, (bar["what"].strip(), bar["done"])))
        return text.one_line(f"it ended without a word{f' ({place})' if place else ''}; {KILLED}")
    if not own and written[-1] == "KeyboardInterrupt":
        return "it was interrupted"
    said = text.one_line((own or written)[-1]).rstrip(".")
    return said if len(said) <= MAX_SHOWN else f"{said[: MAX_SHOWN - 1]}…"
