"""Chooses the number of CPU threads by a short measurement, for ``measurement.threads: auto``.

More threads are not always faster: small products leave each too little work, and where other programs take cores, all
threads wait for the last at every operator. So requests are timed with each candidate in turn, on the machine as it is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROMPT_TOKENS = 64
NEW_TOKENS = 8
ROUNDS = 7
"""Every candidate once a round, so that what else the machine does falls on all alike."""
LONGEST_S = 40.0
NEAR = 1.05
"""The fewest threads are taken whose time is at most so many times the fastest's: more would hardly gain anything."""


def candidates(cores: int) -> list[int]:
    """Numbers of threads to try: powers of two, and all cores."""
    found = [1]
    while found[-1] * 2 <= cores:
        found.append(found[-1] * 2)
    return found if found[-1] == cores else [*found, cores]


def choose(request: Callable[[int], float], counts: list[int], longest_s: float = LONGEST_S) -> dict[str, Any]:
    """Time requests with each number of threads, and choose one.

    Args:
        request: makes one with so many threads; returns its seconds.
        counts: numbers of threads, ascending.
        longest_s: no round begins after so many seconds.

    Returns:
        ``threads``, the number chosen; ``seconds``: per number (as text) the median of its requests; ``rounds``.
    """
    taken: dict[int, list[float]] = {count: [] for count in counts}
    for count in counts:
        request(count)  # threads are started, and memory is touched
    start = time.perf_counter()
    for done in range(ROUNDS):
        if done and time.perf_counter() - start > longest_s:
            break
        for count in counts:
            taken[count].append(request(count))
    medians = {count: statistics.median(seconds) for count, seconds in taken.items()}
    enough = NEAR * min(medians.values())
    return {
        "threads": next(count for count in counts if medians[count] <= enough),
        "seconds": {str(count): seconds for count, seconds in medians.items()},
        "rounds": len(taken[counts[0]]),
        "prompt_tokens": PROMPT_TOKENS,
        "new_tokens": NEW_TOKENS,
    }


def measured(directory: Path, dtype: str, counts: list[int]) -> dict[str, Any]:
    """Choose for a model of this machine: greedy decoding with a KV cache, one request at a time.

    Raises:
        StudyError: the checkpoint is not usable.
    """
    import torch

    from scripts.inference import loading
    from scripts.runtime.models import Process
    from scripts.techniques.registry import load_facet

    process = Process(device=torch.device("cpu"), dtype=getattr(torch, dtype))
    model = loading.load(directory, {"kv_cache": load_facet("kv_cache").resolve("dynamic")}, process, None).model
    prompt = torch.arange(PROMPT_TOKENS)[None] % model.config.get_text_config().vocab_size

    def request(threads: int) -> float:
        torch.set_num_threads(threads)
        started = time.perf_counter()
        with torch.inference_mode():
            output = model(input_ids=prompt, use_cache=True, logits_to_keep=1)
            for _ in range(NEW_TOKENS - 1):
                token = output.logits[:, -1:].argmax(-1)
                output = model(input_ids=token, past_key_values=output.past_key_values, use_cache=True)
        return time.perf_counter() - started

    return choose(request, counts)
