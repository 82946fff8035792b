"""Processes of one group, forked from one that has the libraries imported, so that none imports them again."""

import multiprocessing
import multiprocessing.context
import os
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

DONE_AFTER_S = 240
NO_GPU = {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}


def context() -> multiprocessing.context.BaseContext:
    """What makes such processes."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["torch", "transformers", "scripts.inference.worker"])
    return made


def run(target: Callable[..., None], count: int, *arguments: Any) -> None:
    """Call ``target(rank, *arguments)`` in so many processes, none of which sees a GPU; fail where one fails."""
    make = context().Process
    processes = [make(target=_be_a_rank, args=(rank, count, target, arguments), daemon=True) for rank in range(count)]
    with mock.patch.dict(os.environ, NO_GPU):  # for the one that is forked, too
        for process in processes:
            process.start()
    deadline = time.monotonic() + DONE_AFTER_S
    for process in processes:
        process.join(max(0, deadline - time.monotonic()))
    statuses = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    assert statuses == [0] * count


def _be_a_rank(rank: int, count: int, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)} | NO_GPU
    target(rank, *arguments)
    # Libraries' threads may outlive the group, and would keep the process.
    os._exit(0)
