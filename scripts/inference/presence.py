"""Files by which the processes of a node see one another: each is locked while the process that shows it lives."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # no flocks there
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def file(path: Path, content: bytes = b"") -> Iterator[None]:
    """Show a file of this name in the block; others see it whole and locked, or not at all."""
    descriptor, name = tempfile.mkstemp(suffix=".new", dir=path.parent)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, content)
        Path(name).chmod(0o666)
        Path(name).rename(path)  # only now is it seen, and never while it is not locked
        yield
    finally:
        for left in (path, Path(name)):
            left.unlink(missing_ok=True)
        os.close(descriptor)


def lives(path: Path) -> bool:
    """Whether the process that shows a file lives; the file that a killed one left is removed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        with contextlib.suppress(OSError):
            path.unlink()
        return False
    finally:
        os.close(descriptor)
