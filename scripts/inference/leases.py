"""Exclusive use of GPUs: one flock per device, shared by all processes of the node."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from scripts.foundation.errors import StudyError
from scripts.inference import machine, turns

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
NEXT_SECONDS = 0.05


def lock_directory(of: str = "gpu") -> Path:
    """Folder of the lock files of a kind of device, the same for every user of the node."""
    directory = Path(tempfile.gettempdir()) / f"udaciheadline-{of}-leases"
    directory.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        # Not sticky: kernels may refuse opening another user's file for writing in a sticky, world-writable place.
        directory.chmod(0o777)
    return directory


def chosen(device: str) -> list[str]:
    """Unique ids of the GPUs that ``measurement.device`` lets a job use; none: it runs on the CPU.

    Raises:
        StudyError: ``cuda``, but no GPU is visible; or one is divided into MIG devices.
    """
    devices = usable([] if device == "cpu" else machine.gpus())
    if device == "cuda" and not devices and _in_a_job_without_gpus():
        raise StudyError(
            "measurement.device is 'cuda', but Slurm gave this job no GPU; submit it with --gpus, or set it to 'cpu'."
        )
    if device == "cuda" and not devices:
        raise StudyError("measurement.device is 'cuda', but no NVIDIA GPU is visible; set it to 'auto' or 'cpu'.")
    return devices


def lacking(processes: int, devices: list[str]) -> str | None:
    """Why processes with a GPU each can't run on these, in a sentence; None where they can, or run on the CPU."""
    if not devices or processes <= len(devices):
        return None
    plural = "s" if len(devices) > 1 else ""
    return f"Needs {processes} GPUs; this machine has {len(devices)} GPU{plural} to use."


def usable(gpus: list[dict[str, Any]]) -> list[str]:
    """Unique ids of the GPUs that CUDA_VISIBLE_DEVICES leaves of those of ``machine.gpus``.

    A Slurm job that was given none has none, even where it sees those of its node.

    Raises:
        StudyError: a MIG device is named, or a GPU that is divided into MIG devices is left.
    """
    if not gpus or _in_a_job_without_gpus():
        return []
    chosen = visible([gpu["uuid"] for gpu in gpus], os.environ.get("CUDA_VISIBLE_DEVICES"))
    divided = [gpu["uuid"] for gpu in gpus if gpu.get("mig") and gpu["uuid"] in chosen]
    if divided:
        raise StudyError(f"the GPU {divided[0]} is divided into MIG devices; {_MIG}")
    return chosen


def _in_a_job_without_gpus() -> bool:
    """Whether Slurm runs this process and gave its job no GPU; a cluster may leave the node's to be seen."""
    given = [os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS")]
    number = os.environ.get("SLURM_GPUS_ON_NODE", "0")
    return "SLURM_JOB_ID" in os.environ and not any(given) and number == "0"


_MIG = (
    "no technique is measured on a part of a GPU: name only undivided GPUs in CUDA_VISIBLE_DEVICES, or set "
    "measurement.device to 'cpu'."
)


def visible(devices: list[str], selection: str | None) -> list[str]:
    """The devices that CUDA_VISIBLE_DEVICES leaves, as unique ids, read as CUDA and PyTorch read it.

    An entry that names no device ends the list, and a device that is named twice leaves none.

    Args:
        devices: unique ids in PCI order.
        selection: the variable's value: indices in PCI order, unique ids or beginnings of them; None for all.

    Raises:
        StudyError: an entry that counts is a MIG device.
    """
    if selection is None:
        return devices
    chosen: list[str] = []
    for entry in (part.strip() for part in selection.split(",")):
        if entry.startswith("MIG-"):
            raise StudyError(f"CUDA_VISIBLE_DEVICES names the MIG device {entry!r}; {_MIG}")
        device = _named(entry, devices)
        if device is None:
            if entry not in _NONE:
                logger.warning(
                    "CUDA_VISIBLE_DEVICES names %r, none of this machine's %d GPUs; as CUDA does, it is left out with "
                    "all that follows it.", entry, len(devices),
                )  # fmt: skip
            break
        if device in chosen:
            logger.warning("CUDA_VISIBLE_DEVICES names %r, a GPU that it names twice; CUDA then shows none.", entry)
            return []
        chosen.append(device)
    return chosen


_NONE = ("", "-1", "NoDevFiles")  # values that hide all GPUs


def _named(entry: str, devices: list[str]) -> str | None:
    """The device that an entry names; an index is read as far as its digits go, as by C's strtoul."""
    index = re.match(r"\+?([0-9]+)", entry)
    if index:
        # Longer numbers name no device, and can be too long for int().
        return devices[int(index[1])] if len(index[1]) < 9 and int(index[1]) < len(devices) else None
    matches = [device for device in devices if device.startswith(entry)] if entry else []
    return matches[0] if len(matches) == 1 else None


@contextlib.contextmanager
def try_lease(devices: list[Any], count: int, directory: Path) -> Iterator[list[Any] | None]:
    """Lease the first ``count`` free devices for the block without waiting; None if too few are free.

    The kernel releases the locks when the process ends.
    """
    with contextlib.ExitStack() as held:
        leased = []
        for device in devices:
            lock = FileLock(str(directory / f"{device}.lock"), mode=0o666)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            held.callback(lock.release)
            leased.append(device)
            if len(leased) == count:
                yield leased
                return
        held.close()
        yield None


@contextlib.contextmanager
def lease(devices: list[str], count: int, directory: Path | None = None) -> Iterator[list[str]]:
    """Lease ``count`` of ``devices`` for the block, waiting until they are free, in the order in which jobs came.

    A partial set is released before waiting, so that waiting jobs can't deadlock.
    """
    directory = directory or lock_directory()
    with contextlib.ExitStack() as held:
        with turns.wait_in(directory, devices) as turn:
            waited = False
            while (leased := held.enter_context(try_lease(turn.free_to_take(devices), count, directory))) is None:
                if not waited:
                    logger.info("waiting for %d of %d GPUs to be free", count, len(devices))
                    waited = True
                # The next in turn looks often. A varying pause, so that two jobs do not keep meeting.
                pause = min(POLL_SECONDS, NEXT_SECONDS * (1 + turn.ahead))
                time.sleep(pause * (0.5 + (os.getpid() + time.monotonic_ns()) % 1000 / 1000))
        yield leased
