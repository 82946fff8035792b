"""What bounds a piece of recorded work: its kernels, their times, and the bandwidth that the products reach."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from scripts.engine.graphs import Recorder
from tests.performance.engine_rows.models import bandwidth, step_bytes
from tests.performance.engine_rows.table import last_lines

REPLAYS = 20
LARGEST = 6  # kernels that are named


def of_step(generator: Any, rows: int = 1) -> Callable[[], list[str]]:
    """What tells what bounds the decode step of that many rows."""

    def explain() -> list[str]:
        session = generator.sessions[rows]

        def step() -> None:
            session.state.step.zero_()
            session.state.positions.fill_(generator.cache.length - 1)
            session.step()

        read = step_bytes(generator, rows * generator.cache.length)
        # Resetting the step adds two small kernels.
        return [
            f"a step reads {read / 1e6:,.0f} MB: {read / bandwidth(generator.device) * 1e3:.3f} ms at best",
            *tried(lambda: kernels(step, generator.device, skipped=2)),
            *tried(lambda: products(generator, rows)),
        ]

    return explain


def of_prompt(generator: Any, prompts: list[list[int]]) -> Callable[[], list[str]]:
    """The same of reading a batch of prompts."""

    def explain() -> list[str]:
        session = generator.sessions[len(prompts)]
        width = generator._width(prompts)
        read = session._prefills[width][2]
        return [
            f"a prompt of {len(prompts[0])} tokens is padded to {width}",
            *tried(lambda: kernels(read, generator.device)),
        ]

    return explain


def tried(look: Callable[[], list[str]]) -> list[str]:
    """What one way to look at it says, or why it says nothing; the others are not lost with it."""
    try:
        return look()
    except Exception as error:
        return [f"not seen: {last_lines(error)}"]


def kernels(work: Callable[[], None], device: torch.device, skipped: int = 0) -> list[str]:
    """Number of kernels, the sum of their times against the time of the work, and the largest of them.

    Kernels that start before the one before has ended count twice where they overlap.
    """
    from torch.profiler import ProfilerActivity, profile

    times = []
    with torch.inference_mode():
        for _ in range(REPLAYS):
            torch.cuda.synchronize(device)
            began = time.perf_counter()
            work()
            torch.cuda.synchronize(device)
            times.append(time.perf_counter() - began)
        torch.cuda.synchronize(device)
        began = time.perf_counter()
        for _ in range(REPLAYS):
            work()
        torch.cuda.synchronize(device)
        in_a_row = (time.perf_counter() - began) / REPLAYS
        with profile(activities=[ProfilerActivity.CUDA]) as profiled:
            for _ in range(REPLAYS):
                work()
            torch.cuda.synchronize(device)
    spent: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for event in profiled.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            spent[event.name] += event.time_range.elapsed_us() / REPLAYS
            calls[event.name] += 1
    number = sum(calls.values()) / REPLAYS - skipped
    lines = [
        f"{number:.0f} kernels, {sum(spent.values()):,.0f} us together; the work takes {in_a_row * 1e6:,.0f} us when "
        f"started {REPLAYS} times in a row, {median(times) * 1e6:,.0f} us with the host's start and wait",
    ]
    for name, microseconds in spent.most_common(LARGEST):
        count = calls[name] / REPLAYS
        lines.append(f"{microseconds:,.0f} us in {count:.0f} x {name[:90]} ({microseconds / count:,.1f} us each)")
    return lines


@torch.inference_mode()
def products(generator: Any, rows: int = 1) -> list[str]:
    """Achieved bandwidth of each product of a step, all layers' one after another, recorded by themselves."""
    decoder, lines = generator.decoder, []
    ops, layers = decoder.ops, decoder.layers

    def given(matrix: Any) -> torch.Tensor:
        return torch.randn(rows, matrix.shape[1], device=generator.device, dtype=decoder.dtype)

    first = layers[0]
    x, attended, inner = given(first.qkv), given(first.out), given(first.down)
    pieces = {
        "query, key, value": (lambda: [ops.linear(x, each.qkv, norm=each.attention_norm) for each in layers], "qkv"),
        "output": (lambda: [ops.linear(attended, each.out, residual=x) for each in layers], "out"),
        "gate, up": (
            lambda: [ops.gated_linear(x, each.gate_up, norm=each.feed_forward_norm) for each in layers], "gate_up",
        ),
        "down": (lambda: [ops.linear(inner, each.down, residual=x) for each in layers], "down"),
        "head": (lambda: ops.choose(x, decoder.head, decoder.norm), None),
    }  # fmt: skip
    for name, (work, attribute) in pieces.items():
        matrices = [decoder.head] if attribute is None else [getattr(each, attribute) for each in layers]
        seconds = replay_time(work, generator.device)
        rate = sum(matrix.nbytes for matrix in matrices) / seconds
        share = rate / bandwidth(generator.device)
        lines.append(f"{name}: {seconds * 1e6:,.0f} us a step, {rate / 1e12:.2f} TB/s ({share:.2f} of the data sheet)")
    return lines


def replay_time(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds of a captured graph when recorded and started many times in a row."""
    start = Recorder(device).record(work)
    times = []
    for _ in range(5):
        begins, ends = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begins.record()
        for _ in range(REPLAYS):
            start()
        ends.record()
        torch.cuda.synchronize(device)
        times.append(begins.elapsed_time(ends) / 1e3 / REPLAYS)
    return median(times)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second of a copy within the device's memory, read and written ones counted."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / replay_time(lambda: target.copy_(source), device)
