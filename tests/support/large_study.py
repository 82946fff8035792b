"""A synthetic study as large as a report must carry: its techniques, sweeps and choices, and every run of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.synthetic_study import built_in_choices, everything, with_sweeps, write_study
from tests.support.synthetic_techniques import SWEEPS

# Techniques that the usual sweeps suffice for.
FEW = 25
PRICE = {"price_per_device_hour": 3.6, "currency": "EUR"}


@dataclass(frozen=True)
class Size:
    """How much a study holds; every technique of it ran."""

    techniques: int = 25
    samples: int = 500
    runs: int = 3


def write_large_study(folder: Path, size: Size) -> dict[str, Any]:
    """Write the study below ``folder``; return it with the paths that a comparison takes.

    Raises:
        ValueError: there are not that many techniques.
    """
    known, sweeps = with_sweeps(everything(), SWEEPS if size.techniques <= FEW else finer_sweeps(size.techniques))
    techniques = [technique for technique in known if technique.status == "ok"]
    if size.techniques > len(techniques):
        raise ValueError(f"the synthetic study has {len(techniques)} techniques that ran, not {size.techniques}")
    changes = built_in_choices() | {"comparison": PRICE, "sweeps": sweeps, "examples": size.samples}
    return write_study(folder, techniques[: size.techniques], count=size.samples, runs=size.runs, **changes)


def finer_sweeps(points: int) -> dict[str, dict[str, Any]]:
    """Return three sweeps that have ``points`` points or a few more together, as many each."""
    each = -(-points // 3)
    amounts = [round(0.9 * (position + 1) / each, 4) for position in range(each)]
    return {
        "amount of pruning": {"technique": "pruned", "facet": "pruning.amount", "values": amounts},
        "amount of pruning, twice": {"technique": "pruned_50", "facet": "pruning.amount", "values": amounts},
        "batch size": {"technique": "kv_cache", "facet": "batch_size", "values": list(range(1, each + 1))},
    }
