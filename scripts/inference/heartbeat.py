"""Signs of life of a worker: a byte to its parent between two samples, outside of what is timed.

Standard output becomes the channel, so that nothing that a library prints can be taken for a sign.
"""

import contextlib
import os

PHASE = b"p"  # what comes next may take long: loading, compiling, looking at what came out
SAMPLE = b"s"  # the next sign is due after a batch like the last one

_channel: int | None = None


def open_channel() -> None:
    """Give signs from now on; what is printed goes to standard error."""
    global _channel
    _channel = os.dup(1)
    os.set_blocking(_channel, False)
    os.dup2(2, 1)


def sign(kind: bytes) -> None:
    """Give a sign of life; nothing is waited for, and without a channel nothing happens."""
    if _channel is not None:
        # Full, as the parent is stopped; or closed.
        with contextlib.suppress(OSError):
            os.write(_channel, kind)
