"""The device for training: an exclusively leased GPU, or the CPU."""

import contextlib
import os
from collections.abc import Iterator

from scripts.inference import leases, neighbours

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@contextlib.contextmanager
def leased(wanted: str) -> Iterator[str]:
    """Yield ``cuda``, with one GPU leased and no other visible, or ``cpu``. Enter it before CUDA is initialised.

    Args:
        wanted: ``auto`` uses a GPU if there is one; ``cuda`` requires one; ``cpu`` uses none.

    Raises:
        StudyError: ``cuda``, but no GPU is visible; or one is divided into MIG devices.
    """
    selection = os.environ.get(_VISIBLE)
    devices = leases.chosen(wanted)
    if not devices:
        with neighbours.beside(alone=False):
            yield "cpu"
        return
    with neighbours.beside(alone=False), leases.lease(devices, 1) as leased_gpus:
        os.environ[_VISIBLE] = leased_gpus[0]
        try:
            yield "cuda" if wanted == "cuda" or _usable() else "cpu"
        finally:
            os.environ.pop(_VISIBLE)
            if selection is not None:
                os.environ[_VISIBLE] = selection


def _usable() -> bool:
    """Whether this PyTorch can compute on the GPU: some are built for CPUs alone."""
    import torch

    return torch.cuda.is_available()
