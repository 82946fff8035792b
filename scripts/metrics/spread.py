"""How far the values of a timing figure lie apart: between runs, and between the prompts of a run."""

from collections.abc import Sequence

import numpy as np


def relative_deviation_percent(values: Sequence[float | None]) -> float | None:
    """Return the relative standard deviation (n - 1) in percent, or None below two values."""
    known = np.array([value for value in values if value is not None and not np.isnan(value)], dtype=float)
    if known.size < 2 or known.mean() == 0:
        return None
    return float(100 * known.std(ddof=1) / known.mean())


def spreads(runs: Sequence[float | None], per_prompt: np.ndarray) -> dict[str, float | None]:
    """Return both spreads of a figure.

    Args:
        runs: its value in each run.
        per_prompt: its values per run and prompt, shape (runs, prompts), NaN where there is none.

    Returns:
        ``between_run_percent`` (None with one run) and ``within_run_percent``, the mean over runs.
    """
    within = [deviation for row in per_prompt if (deviation := relative_deviation_percent(row)) is not None]
    return {
        "between_run_percent": relative_deviation_percent(runs),
        "within_run_percent": float(np.mean(within)) if within else None,
    }
