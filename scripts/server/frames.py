"""Messages between a front and the engine's process: tuples of plain values, each behind its length.

Both ends are this project's own processes on a socket pair that nobody else holds, so that marshal is safe here.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from typing import Any

LENGTH_BYTES = 4


def pack(message: tuple[Any, ...]) -> bytes:
    """A message as bytes."""
    body = marshal.dumps(message)
    return len(body).to_bytes(LENGTH_BYTES, "little") + body


class Unpacker:
    """Messages from a stream of bytes."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Any, ...]]:
        """Yield the messages that are whole by now."""
        self._rest += data
        at = 0
        while len(self._rest) - at >= LENGTH_BYTES:
            begin = at + LENGTH_BYTES
            end = begin + int.from_bytes(self._rest[at:begin], "little")
            if end > len(self._rest):
                break
            yield marshal.loads(self._rest[begin:end])  # noqa: S302
            at = end
        del self._rest[:at]
