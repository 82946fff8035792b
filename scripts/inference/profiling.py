"""Where a sample's time goes, by torch's profiler, outside the timed samples: inside operators and kernels, or not."""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import files
from scripts.models.libraries import without_compiler

if TYPE_CHECKING:
    from torch.profiler import profile

    from scripts.inference.preparation import Prepared

COLUMNS = ("name", "kind", "calls", "cpu_self_s", "cpu_total_s", "device_self_s", "device_total_s")
TOP = 10


def operator_share(function: Callable[[], Any], *, all_threads: bool = False) -> tuple[float, float]:
    """Call the function once under the profiler.

    Args:
        function: what to call.
        all_threads: profile all threads of the process, not only the caller's.

    Returns:
        Seconds inside operators (on a GPU: in which one kernel or more ran), and seconds of the whole call. Operators
        are what torch's dispatcher runs (``aten::mm``, ``bitsandbytes::…``), each with its own time alone; Python
        between them, and in functions of Python that call them, is not in it.
    """
    # On a GPU only kernels count; not recording operators keeps the overhead low.
    with without_compiler(), _profiler(kernels_only=_has_gpu(), all_threads=all_threads) as profiler:
        began = time.perf_counter()
        function()
        _synchronise()
        elapsed = time.perf_counter() - began
    if _has_gpu():
        return busy_seconds(_kernel_spans(profiler)), elapsed
    return sum(row["cpu_self_s"] for row in _rows(profiler) if "::" in row["name"]), elapsed


def _kernel_spans(profiler: profile) -> list[tuple[float, float]]:
    """Begin and end of each kernel and copy, in seconds."""
    from torch.autograd import DeviceType

    return [
        (event.time_range.start / 1e6, event.time_range.end / 1e6)
        for event in profiler.events()
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation
    ]


def busy_seconds(spans: list[tuple[float, float]]) -> float:
    """Seconds covered by the union of the spans.

    Kernels may overlap: one that is launched before its predecessor has ended waits on the device, and its span counts
    that wait, which their sum would count twice.
    """
    busy, reached = 0.0, float("-inf")
    for began, ended in sorted(spans):
        busy += max(0.0, ended - max(began, reached))
        reached = max(reached, ended)
    return busy


def profile_samples(prepared: Prepared, prompts: list[str], directory: Path | None) -> dict[str, Any]:
    """Profile the generation of a few prompts, in batches of the technique's size.

    Writes ``operators.csv`` (every operator and kernel with its calls and seconds, the costliest first) and
    ``trace.json.gz`` (opens in https://ui.perfetto.dev), each whole or not at all; nothing where ``directory`` is None,
    as on the other ranks of a group, which must generate along.

    Returns:
        ``samples``, ``elapsed_s`` (profiled, so longer than a timed run's), ``device`` (whose time ``top`` is ordered
        by) and ``top``: the ten costliest operators, as rows of the table.
    """
    generator = prepared.loaded.generator
    with _profiler(all_threads=generator is not None and generator.own_thread) as profiler:
        began = time.perf_counter()
        for batch in _batches(prompts, prepared.batch_size):
            prepared.generate(batch, counted=False)
        _synchronise()
        elapsed = time.perf_counter() - began
    device = "cuda" if _has_gpu() else "cpu"
    order = ("device_self_s", "cpu_self_s") if device == "cuda" else ("cpu_self_s", "device_self_s")
    rows = sorted(_rows(profiler), key=lambda row: ([-row[key] for key in order], row["name"]))
    if directory is not None:
        _write_table(rows, directory / "operators.csv")
        _write_trace(profiler, directory / "trace.json.gz")
    operators = [row for row in rows if row["kind"] == "operator"]
    return {"samples": len(prompts), "elapsed_s": elapsed, "device": device, "top": operators[:TOP]}


def _batches(prompts: list[str], size: int) -> Iterator[list[str]]:
    for first in range(0, len(prompts), size):
        yield prompts[first : first + size]


def _has_gpu() -> bool:
    """Whether this process has used a GPU: a machine may have one that the run does not use."""
    import torch

    return torch.cuda.is_available() and torch.cuda.is_initialized()


def _synchronise() -> None:
    if _has_gpu():
        import torch

        torch.cuda.synchronize()


def _profiler(*, kernels_only: bool = False, all_threads: bool = False) -> profile:
    from torch._C._profiler import _ExperimentalConfig
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CUDA] if _has_gpu() else []
    return profile(
        activities=activities if kernels_only else [ProfilerActivity.CPU, *activities],
        acc_events=True,
        experimental_config=_ExperimentalConfig(profile_all_threads=True) if all_threads else None,
    )


def _rows(profiler: profile) -> list[dict[str, Any]]:
    """One row a name: an operator, with the time of the kernels that it started, or a kernel (or copy) itself."""
    from torch.autograd import DeviceType

    rows = []
    for event in profiler.key_averages():
        if event.is_user_annotation:
            continue
        kernel = event.device_type == DeviceType.CUDA
        seconds = (
            event.self_cpu_time_total, event.cpu_time_total, event.self_device_time_total, event.device_time_total,
        )  # fmt: skip
        times = dict(zip(COLUMNS[3:], (microseconds / 1e6 for microseconds in seconds), strict=True))
        rows.append({"name": event.key, "kind": "kernel" if kernel else "operator", "calls": event.count} | times)
    return rows


def _write_table(rows: list[dict[str, Any]], path: Path) -> None:
    with files.atomic_writer(path) as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_trace(profiler: profile, path: Path) -> None:
    """Write atomically; the library chooses the format by the name's suffix, so the temporary name has the same."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        written = Path(scratch) / path.name
        profiler.export_chrome_trace(str(written))
        os.replace(written, path)
