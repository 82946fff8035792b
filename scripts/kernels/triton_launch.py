"""Whether a kernel may be started while the one ahead of it is still running (programmatic dependent launch, Hopper).

A kernel that is started so reads and writes nothing that another kernel writes or reads until its ``gdc_wait`` has
returned. Since the kernel ahead can't end before its own wait has returned, everything before it has ended by then too.
"""

from __future__ import annotations

import torch

HOPPER = (9, 0)
allowed = True  # to compare with ordinary launches, or to look for an error, set it to False before recording


def use_pdl(device: torch.device) -> bool:
    """Whether kernels on that device are started so; never under the interpreter, which runs on a CPU."""
    return allowed and device.type == "cuda" and torch.cuda.get_device_capability(device) >= HOPPER
