"""A synthetic study as large as a report must carry: its techniques, sweeps and choices, and every run of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.synthetic_study import built_in_choices, everything, with_sweeps, write_study

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
    known, sweeps = with_sweeps(everything())
    techniques = [technique for technique in known if technique.status == "ok"]
    if size.techniques > len(techniques):
        raise ValueError(f"the synthetic study has {len(techniques)} techniques that ran, not {size.techniques}")
    changes = built_in_choices() | {"comparison": PRICE, "sweeps": sweeps, "examples": size.samples}
    return write_study(folder, techniques[: size.techniques], count=size.samples, runs=size.runs, **changes)
