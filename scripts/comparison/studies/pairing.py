"""Whether two studies had the same prompts, and what each technique made of each prompt, where the files hold it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.comparison.studies.reading import Study
from scripts.metrics import resampling


@dataclass(frozen=True)
class Pairing:
    """The prompts of two studies.

    Attributes:
        same: whether they are the same, in the same order.
        note: a sentence that says so, or why they are not.
        shown: how many of them both files hold with what was written for them.
        total: how many there are in the new study.
    """

    same: bool
    note: str
    shown: int
    total: int


def pairing(old: Study, new: Study) -> Pairing:
    """Compare the prompts of two studies, by the digest of the evaluation set or else by their texts."""
    totals = [study["prompts"]["total"] for study in (old, new)]
    shown = min(len(study["prompts"]["rows"]) for study in (old, new))
    texts = [[(row["summary"], row["reference"]) for row in study["prompts"]["rows"][:shown]] for study in (old, new)]
    digests = [(study.get("provenance") or {}).get("dataset_digest") for study in (old, new)]
    if totals[0] != totals[1]:
        note = f"The studies have {totals[0]:,} and {totals[1]:,} prompts, so prompts are not paired."
        return Pairing(False, note, 0, totals[1])
    if texts[0] != texts[1] or (None not in digests and digests[0] != digests[1]):
        return Pairing(False, "The studies have other prompts, so prompts are not paired.", 0, totals[1])
    known = None not in digests or shown == totals[1]
    if not known:
        note = "Whether the studies have the same prompts can't be told from the files, so prompts are not paired."
        return Pairing(False, note, 0, totals[1])
    return Pairing(True, f"Both studies have the same {totals[1]:,} prompts.", shown, totals[1])


def latencies(study: Study, name: str, shown: int) -> np.ndarray | None:
    """Return a technique's mean latency for each of the first prompts, shape (shown,); None where one is missing."""
    return _column(study["prompts"]["latency_s"].get(name), shown)


def scores(study: Study, name: str, key: str, shown: int) -> np.ndarray | None:
    """Return a technique's score for each of the first prompts, shape (shown,); None where one is missing."""
    return _column([text.get(key) for text in _written(study, name)], shown)


def texts(study: Study, name: str, shown: int) -> list[str]:
    """Return the headlines of a technique for the first prompts; none where the file has none of it."""
    return [text["text"] for text in _written(study, name)][:shown]


def relative_variance(columns: list[tuple[int, np.ndarray]], total: int) -> float | None:
    """Return the variance over prompts of the log of a product of means and their reciprocals, paired by prompt.

    By the delta method (linearisation): the mean's log moves by a prompt's share of it.

    Args:
        columns: sign of each mean's exponent, and its values, shape (prompts,).
        total: how many prompts the means rest on, those that are not in the columns among them.

    Returns:
        None with fewer than ten prompts, or where a mean is zero.
    """
    prompts = len(columns[0][1])
    means = [values.mean() for _, values in columns] if prompts else []
    if prompts < resampling.MIN_PROMPTS or not all(means):
        return None
    influence = sum(sign * values / mean for (sign, values), mean in zip(columns, means, strict=True))
    return float(np.var(influence, ddof=1) / max(total, prompts))


def _written(study: Study, name: str) -> list[dict[str, Any]]:
    places = study["prompts"]["wrote"].get(name) or []
    return [row["texts"][place] for row, place in zip(study["prompts"]["rows"], places, strict=False)]


def _column(values: list[Any] | None, shown: int) -> np.ndarray | None:
    found = (values or [])[:shown]
    if len(found) < shown or not shown or None in found:
        return None
    return np.array(found, dtype=float)
