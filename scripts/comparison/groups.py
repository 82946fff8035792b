"""Whether quality is lost alike on all prompts: ROUGE-L kept of the parent, by thirds of summary length, by category.

Whether what is kept differs between groups is tested once a technique and grouping, by permuting the groups over the
prompts. The statistic is Welch's sum of squares between groups, weighted by each group's own variance, since short
summaries may scatter more than long ones: with it a permutation test holds its level where variances differ (Pauly,
Brunner and Konietschke, Journal of the Royal Statistical Society B 77, 2015). It is taken of the residuals of the
ratio, technique - kept * parent, whose mean is zero in each group where each keeps the same share.
"""

from collections import Counter
from collections.abc import Hashable
from typing import Any

import numpy as np

from scripts.comparison import verdicts
from scripts.comparison.columns import NATURAL, Columns
from scripts.comparison.two_levels import PROMPTS_ONLY, Quantity, percent_figure, ratio
from scripts.foundation import words
from scripts.metrics import figures, resampling
from scripts.metrics.families.text import GATED

MIN_ROWS = 20
"""Below this many prompts a group is too thin to say anything of."""
MOST_CATEGORIES = 8
DIFFERS, ALIKE = "differs", "no measurable difference"
LENGTH, CATEGORY = "length", "category"
OTHERS = "all others"
PERMUTATIONS = 9_999
_AT_ONCE = 200
_LEAST_SPREAD = 1e-3
"""Share of the whole variance that a group's own counts as at least: where all are equal it would weigh infinitely."""


def groups(dataset: list[dict[str, Any]], rows: list[dict[str, Any]], columns: Columns) -> dict[str, Any] | None:
    """Return what each technique keeps of its parent's ROUGE-L in each group of prompts.

    Args:
        dataset: the rows of the evaluation set.
        rows: the techniques, with their changes.
        columns: of all that ran.

    Returns:
        None where there are too few prompts for any grouping, or nothing to compare. Else ``groups``: per grouping
        (``length``, ``category``) its groups with ``label`` and ``n``; ``techniques``: per technique and grouping
        ``kept``, a figure in percent a group; ``p_value``, ``adjusted_p_value`` (Holm's, over all techniques and
        groupings) and ``verdict``; for lengths also ``gap``: kept of the longest less that of the shortest, in points.
    """
    found = {kind: made for kind, made in ((LENGTH, _thirds(dataset)), (CATEGORY, _categories(dataset))) if made}
    pairs = {row["name"]: row["parent"] for row in rows if _comparable(row, dataset, columns)} if found else {}
    if not pairs:
        return None
    scores = {name: columns.columns[name, NATURAL][GATED] for name in {*pairs, *pairs.values()}}
    techniques: dict[str, dict[str, Any]] = {name: {"against": parent} for name, parent in pairs.items()}
    tested: dict[Hashable, float] = {}
    for kind, members in found.items():
        masks = list(members.values())
        for name, p_value in _p_values(pairs, scores, masks).items():
            kept = [_kept(scores[name][mask], scores[pairs[name]][mask]) for mask in masks]
            techniques[name][kind] = {"kept": [figure for figure, _ in kept], "p_value": p_value}
            if kind == LENGTH:
                techniques[name][kind]["gap"] = _gap(kept[-1], kept[0])
            tested[name, kind] = p_value
    for (name, kind), adjusted in verdicts.holm(tested).items():
        verdict = DIFFERS if adjusted < verdicts.ALPHA else ALIKE
        techniques[name][kind] |= {"adjusted_p_value": adjusted, "verdict": verdict}
    shown = {
        kind: [{"label": label, "n": int(mask.sum())} for label, mask in members.items()]
        for kind, members in found.items()
    }
    return {"groups": shown, "techniques": techniques, "tested": len(tested)}


def _comparable(row: dict[str, Any], dataset: list[dict[str, Any]], columns: Columns) -> bool:
    """Whether a technique and its parent have scores of these prompts, and not the same headlines throughout."""
    change, ids = row["changes"]["parent"], [entry["id"] for entry in dataset]
    names = (row["name"], row["parent"])
    return bool(change["figures"]) and not change["same_text"] and all(
        columns.has(name, NATURAL, GATED) and columns.ids[name, NATURAL] == ids for name in names
    ) and not np.array_equal(*(columns.columns[name, NATURAL][GATED] for name in names))  # fmt: skip


def _thirds(dataset: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return which prompts are in each third by their summaries' words; nothing where a third is too thin."""
    lengths = np.array([words.count(row["summary"]) for row in dataset])
    if len(lengths) < 3 * MIN_ROWS:
        return {}
    low, high = (int(end) for end in np.quantile(lengths, [1 / 3, 2 / 3], method="inverted_cdf"))
    made = {
        f"up to {low} words": lengths <= low,
        f"{low + 1} to {high} words": (lengths > low) & (lengths <= high),
        f"{high + 1} words and more": lengths > high,
    }
    return made if all(mask.sum() >= MIN_ROWS for mask in made.values()) else {}


def _categories(dataset: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return which prompts are of each frequent category, and the rest together; nothing where that is one group."""
    named = np.array([row.get("category") or "" for row in dataset], dtype=object)
    counts = Counter(name for name in named if name)
    frequent = [name for name, count in counts.most_common(MOST_CATEGORIES) if count >= MIN_ROWS]
    made = {name: named == name for name in frequent}
    rest = ~np.isin(named, frequent)
    if rest.sum() >= MIN_ROWS:
        made[OTHERS if OTHERS not in made else f"{OTHERS} together"] = rest
    return made if len(made) > 1 else {}


def _kept(ours: np.ndarray, theirs: np.ndarray) -> tuple[figures.Figure, np.ndarray | None]:
    """Return the share kept in one group, in percent, and the same over resampled prompts."""
    drawn = resampling.resampled_means(np.array([ours, theirs]))
    quantities = [
        Quantity(len(ours), float(each.mean()), spread) for each, spread in zip((ours, theirs), drawn, strict=True)
    ]
    found = percent_figure(ratio(quantities[:1], quantities[1:]), offset=0.0)
    found.pop("p_value", None)  # of "all is kept" in this group: not what is tested here
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = 100 * drawn[0] / drawn[1]
    return found, spread if np.isfinite(spread).all() else None


def _gap(
    longest: tuple[figures.Figure, np.ndarray | None], shortest: tuple[figures.Figure, np.ndarray | None]
) -> figures.Figure:
    """Return how many points more the longest summaries keep than the shortest."""
    (above, drawn_above), (below, drawn_below) = longest, shortest
    if above["value"] is None or below["value"] is None:
        return figures.missing("points", "the parent's ROUGE-L is zero in one of the groups")
    count = above["n"] + below["n"]
    value = above["value"] - below["value"]
    if drawn_above is None or drawn_below is None:
        return figures.figure(value, "points", count, note="the parent's ROUGE-L can be zero: no interval")
    # Both groups' prompts are drawn by one seed: shifted, the draws of the one are independent of the other's.
    bounds = resampling.percentile_interval(drawn_above - np.roll(drawn_below, 1))
    return figures.figure(value, "points", count, bounds, interval=PROMPTS_ONLY)


def _p_values(pairs: dict[str, str], scores: dict[str, np.ndarray], masks: list[np.ndarray]) -> dict[str, float]:
    """Return per technique the p-value of "every group keeps the same share"; prompts outside of all are left out."""
    used = np.any(masks, axis=0)
    residuals = {}
    for name, parent in pairs.items():
        ours, theirs = scores[name][used], scores[parent][used]
        if theirs.mean() > 0:
            residuals[name] = ours - ours.mean() / theirs.mean() * theirs
    if not residuals:
        return {}
    values = np.array(list(residuals.values()))
    members = np.array([mask[used] for mask in masks], dtype=float)
    observed = _between(members[None], values)[0]
    rng = np.random.default_rng(resampling.SEED)
    order = np.tile(np.arange(members.shape[1]), (_AT_ONCE, 1))
    above, left = np.zeros(len(values), dtype=int), PERMUTATIONS
    while left > 0:
        count = min(_AT_ONCE, left)
        drawn = rng.permuted(order[:count], axis=1)
        above += (_between(np.moveaxis(members[:, drawn], 1, 0), values) >= observed - 1e-9).sum(axis=0)
        left -= count
    return dict(zip(residuals, ((above + 1) / (PERMUTATIONS + 1)).tolist(), strict=True))


def _between(members: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return Welch's sum of squares between groups.

    Args:
        members: whether a prompt is in a group, shape (permutations, groups, prompts).
        values: shape (techniques, prompts).

    Returns:
        Shape (permutations, techniques).
    """
    counts = members.sum(axis=2)[:, :, None]
    means, squares = (members @ table.T / counts for table in (values, values**2))
    least = _LEAST_SPREAD * values.var(axis=1) + 1e-12
    weights = counts / np.maximum((squares - means**2) * counts / (counts - 1), least)
    centre = (weights * means).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    return (weights * (means - centre) ** 2).sum(axis=1)
