"""How many multiprocessors a GPU has, and whether a kernel may start while the one ahead of it is still running.

The latter is programmatic dependent launch (PDL), which Hopper brought. A kernel that is launched so reads and writes
nothing that another kernel writes or reads until its ``gdc_wait`` has returned. Since the kernel ahead can't end before
its own wait has returned, everything before it has ended by then too.
"""

from __future__ import annotations

import functools

import torch

HOPPER = (9, 0)
allowed = True  # to compare with ordinary launches, or to look for an error, set it to False before capturing


def use_pdl(device: torch.device) -> bool:
    """Whether kernels on that device are launched so; never under the interpreter, which runs on a CPU."""
    return allowed and device.type == "cuda" and torch.cuda.get_device_capability(device) >= HOPPER


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """How many multiprocessors a GPU has; a CPU, where kernels are interpreted, counts as two."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 2
