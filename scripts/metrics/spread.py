"""Spread of a timing figure between runs, and between the prompts of a run."""

from collections.abc import Sequence

import numpy as np


def relative_deviation_percent(values: Sequence[float | None]) -> float | None:
    """Return the relative standard deviation (n - 1) in percent, or None below two values."""
    known = np.array([value for value in values if value is not None and not np.isnan(value)], dtype=float)
    if known.size < 2 or known.mean() == 0:
        return None
    return float(100 * known.std(ddof=1) / known.mean())


def run_scatter(per_prompt: np.ndarray, together: int = 1) -> float | None:
    """Return the relative variance of a run's mean that is due to the scatter of single requests.

    What is left of the times without the runs' and the prompts' own levels is the scatter: a two-way layout with one
    observation a cell.

    Args:
        per_prompt: shape (runs, prompts), NaN where there is no value.
        together: requests of a batch, which share its time and so scatter as one.

    Returns:
        None with one run, or without a prompt that has a value in every run.
    """
    known = per_prompt[:, ~np.isnan(per_prompt).any(axis=0)]
    runs, prompts = known.shape
    if runs < 2 or prompts == 0 or not known.mean(axis=1).all():
        return None
    relative = known / known.mean(axis=1, keepdims=True)
    return float(relative.var(axis=0, ddof=1).mean() * min(together, prompts) / prompts)


def spreads(runs: Sequence[float | None], per_prompt: np.ndarray, together: int = 1) -> dict[str, float | None]:
    """Return the spreads of a figure.

    Args:
        runs: its value in each run.
        per_prompt: its values per run and prompt, shape (runs, prompts), NaN where there is none.
        together: requests of a batch.

    Returns:
        ``between_run_percent`` (None with one run); ``within_run_percent``, the mean over runs; ``run_scatter``, as
        :func:`run_scatter`.
    """
    within = [deviation for row in per_prompt if (deviation := relative_deviation_percent(row)) is not None]
    return {
        "between_run_percent": relative_deviation_percent(runs),
        "within_run_percent": float(np.mean(within)) if within else None,
        "run_scatter": run_scatter(per_prompt, together),
    }
