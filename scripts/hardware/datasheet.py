"""GPUs by their data sheets, read from ``config/hardware.yaml``."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.foundation.errors import StudyError

TABLE = Path(__file__).resolve().parents[2] / "config" / "hardware.yaml"


@dataclass(frozen=True)
class Device:
    """One GPU model.

    Attributes:
        label: its name for readers.
        names: regular expressions for the whole name that NVML reports.
        memory_bytes: its memory as its driver reports it.
        bandwidth_bytes_per_s: peak of its memory.
        peak_flops_per_s: peak of dense arithmetic by dtype (``float32``, ``tf32``, ``float16``, ``bfloat16``,
            ``int8``, ``fp8``); a type that it has no units for is absent.
        source: the document.
    """

    label: str
    names: tuple[str, ...]
    memory_bytes: int
    bandwidth_bytes_per_s: float
    peak_flops_per_s: dict[str, float]
    source: str


@functools.lru_cache
def devices(table: Path = TABLE) -> list[Device]:
    """The GPUs of the table, in its order.

    Raises:
        StudyError: the table is missing or an entry is incomplete.
    """
    try:
        rows = yaml.safe_load(table.read_text(encoding="utf-8"))["gpus"]
        return [
            Device(
                label=row["label"],
                names=tuple(row["names"]),
                memory_bytes=int(row["memory_mib"]) << 20,
                bandwidth_bytes_per_s=row["bandwidth_gb_per_s"] * 1e9,
                peak_flops_per_s={dtype: peak * 1e12 for dtype, peak in row["peak_tflops"].items()},
                source=row["source"],
            )
            for row in rows
        ]
    except FileNotFoundError:
        raise StudyError(f"{table} does not exist; restore the file.") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise StudyError(f"{table}: an entry is incomplete or damaged ({error!r}); correct it.") from None


def find(name: str, table: Path = TABLE) -> Device | None:
    """The GPU that NVML calls by that name; None where the table has none, as for every processor."""
    for device in devices(table):
        if any(re.fullmatch(pattern, name, re.IGNORECASE) for pattern in device.names):
            return device
    return None
