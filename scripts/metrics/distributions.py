"""A technique's distributions of the next token beside its parent's: divergence and agreement, prompt by prompt.

The Kullback-Leibler divergence is that of the parent from the technique (Kullback and Leibler, 1951), the sum over the
whole vocabulary. Log-probabilities were rounded to float16 when they were stored; scaled to sum to 1 again, what
rounding adds to a divergence is of second order: less than 1% or 6e-6 nats, whichever is more.
"""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.foundation.errors import StudyError

COLUMNS = ("prompt", "position", "token", "top")
NO_PARENT = "it has no parent"


@dataclass(frozen=True)
class Compared:
    """A technique against its parent at the positions that both kept.

    Attributes:
        against: the parent's name; None without one.
        reason: why there is nothing to compare, or None.
        divergence: per prompt the sum over its positions, in nats; NaN where no position was kept.
        agree: per prompt at how many positions the most likely token is the parent's.
        positions: per prompt how many were kept.
    """

    against: str | None
    reason: str | None
    divergence: list[float]
    agree: list[int]
    positions: list[int]


def compare(own: str | Path, parent: str | Path | None, name: str | None, prompts: int) -> Compared:
    """Compare two files of distributions.

    Args:
        own: the technique's file.
        parent: its parent's; None without one.
        name: the parent's name.
        prompts: how many prompts the evaluation set has.

    Raises:
        StudyError: a file is damaged.
    """
    if parent is None:
        return _nothing(name, NO_PARENT)
    mine, theirs = (_read(Path(path), prompts) for path in (own, parent))
    if mine is None or theirs is None:
        whose = name if mine is not None else "it"
        return _nothing(name, f"{whose} left no distributions along the reference headlines")
    sizes = [columns["log_probabilities"].shape[1] for columns in (mine, theirs)]
    if sizes[0] != sizes[1]:
        return _nothing(name, f"its vocabulary has {sizes[0]:,} tokens and that of {name} {sizes[1]:,}")
    if not all(np.array_equal(mine[key], theirs[key]) for key in ("prompt", "position", "token")):
        return _nothing(name, f"it splits the reference headlines into other tokens than {name}")
    found = [divergence(theirs["log_probabilities"][row], mine["log_probabilities"][row])
             for row in range(len(mine["prompt"]))]  # fmt: skip
    at, agrees = mine["prompt"], mine["top"] == theirs["top"]
    return Compared(
        name, None,
        np.bincount(at, weights=found, minlength=prompts).tolist(),
        np.bincount(at, weights=agrees, minlength=prompts).astype(int).tolist(),
        np.bincount(at, minlength=prompts).tolist(),
    )  # fmt: skip


def divergence(theirs: np.ndarray, mine: np.ndarray) -> float:
    """Return the Kullback-Leibler divergence of one distribution from another, in nats.

    Args:
        theirs: log-probabilities of the one that is taken for the truth, [vocabulary].
        mine: of the other, [vocabulary]. Both are scaled to sum to 1.
    """
    p, q = _normalised(theirs), _normalised(mine)
    return max(0.0, float(np.exp(p) @ (p - q)))


def _normalised(stored: np.ndarray) -> np.ndarray:
    values = stored.astype(np.float64)
    values -= values.max()
    return values - math.log(np.exp(values).sum())


def _nothing(name: str | None, reason: str) -> Compared:
    return Compared(name, reason, [], [], [])


def _read(path: Path, prompts: int) -> dict[str, Any] | None:
    """Read a file of distributions; None where a run had none to keep, whose file is empty."""
    if path.exists() and path.stat().st_size == 0:
        return None
    again = "delete the run and make it again"
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {key: stored[key] for key in (*COLUMNS, "log_probabilities")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StudyError(f"{path} can't be read ({error}); {again}.") from None
    rows = found["log_probabilities"]
    whole = rows.ndim == 2 and rows.dtype == np.float16 and rows.size and np.isfinite(rows).all()
    if not whole or any(found[key].shape != rows.shape[:1] or found[key].dtype.kind != "i" for key in COLUMNS):
        raise StudyError(f"{path} holds no distributions; {again}.")
    if found["prompt"].min() < 0 or found["prompt"].max() >= prompts:
        raise StudyError(f"{path} is of another evaluation set; {again}.")
    return found
