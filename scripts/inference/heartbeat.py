"""Heartbeats of a worker: a byte to its parent between samples, outside the timing.

Standard output becomes the channel; what libraries print goes to standard error.
"""

import contextlib
import os

PHASE = b"p"  # a long step follows: loading, compiling, scoring
SAMPLE = b"s"  # the next heartbeat is due after a batch

_channel: int | None = None


def open_channel() -> None:
    """Open the channel; from now on prints go to standard error."""
    global _channel
    _channel = os.dup(1)
    os.set_blocking(_channel, False)
    os.dup2(2, 1)


def close_channel() -> None:
    """Close the channel, in a fork of the worker, which gives no signs of its own."""
    global _channel
    if _channel is not None:
        os.close(_channel)
        _channel = None


def sign(kind: bytes) -> None:
    """Send a heartbeat without blocking; does nothing without a channel."""
    if _channel is not None:
        # The pipe is full (the parent is stopped) or closed.
        with contextlib.suppress(OSError):
            os.write(_channel, kind)
