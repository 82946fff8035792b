"""Where a technique runs: what is asked of a machine before anything is loaded, without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A kind of device.

    Attributes:
        device: ``cuda`` or ``cpu``.
        capability: the compute capability of its least able GPU; None on a CPU, or where it is not known.
    """

    device: str
    capability: tuple[int, int] | None = None
