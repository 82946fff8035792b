"""Interactions: whether the effects of two differences multiply when combined.

A square has a base B, B with one difference (P), B with another (Q) and B with both (C). If the differences were
independent, latency would be multiplied by both factors: C / B = (P / B) * (Q / B). The ratio of the two sides,
(C / P) / (Q / B), is the interaction; its interval is two-level (prompts and runs), from all four techniques.
"""

from collections.abc import Iterator
from typing import Any

from scripts.comparison import changes, two_levels, verdicts
from scripts.comparison.columns import Columns
from scripts.comparison.loading import Metrics

MORE = "more than the parts multiplied"
LESS = "less than the parts multiplied"
AS = "as the parts multiplied"
Square = tuple[str, str, str, str]


def interactions(study: dict[str, Any], metrics: Metrics, columns: Columns) -> list[dict[str, Any]]:
    """Return every square of techniques that ran.

    Returns:
        ``technique`` (C), ``with`` (P, its parent), ``alone`` (Q), ``base`` (B), ``facet`` (by which C differs from P),
        ``ratio``: measured latency of the combination over the product of its parts, below 1 where the combination is
        faster than that; ``verdict``: whether the combination gains more or less than that, after Holm's correction.
    """
    rows = []
    for (combined, partner, alone, base), facets in squares(study):
        contents = [metrics[name] for name in (combined, base, partner, alone)]
        if any(content["status"] != "ok" for content in contents):
            continue
        quantities = changes.timing_quantities(changes.LATENCY, contents, columns)
        figure = two_levels.ratio_figure(two_levels.ratio(quantities[:2], quantities[2:]))
        names = {"technique": combined, "with": partner, "alone": alone, "base": base}
        rows.append(names | {"facet": ", ".join(facets), "ratio": figure})
    tested = {index: row["ratio"] for index, row in enumerate(rows) if row["ratio"].get("p_value") is not None}
    verdicts.judge(tested, dict.fromkeys(tested, (MORE, LESS)), AS)
    return [row | {"verdict": row["ratio"].get("verdict")} for row in rows]


def squares(study: dict[str, Any]) -> Iterator[tuple[Square, list[str]]]:
    """Yield (C, P, Q, B) by name, each square once, with the facets by which C differs from P.

    P is C's parent and B the nearest of P's ancestors for which there is a Q with exactly B's settings and C's facets.
    """
    entries = {entry["name"]: entry for entry in study["techniques"]}
    seen = set()
    for name, entry in entries.items():
        partner = entry.get("parent")
        if partner not in entries:
            continue
        facets = _differing(_settings(entry), _settings(entries[partner]))
        for base in _ancestors(partner, entries):
            if set(facets) & set(_differing(_settings(entries[partner]), _settings(entries[base]))):
                continue
            wanted = _settings(entries[base]) | {facet: _settings(entry).get(facet) for facet in facets}
            alone = next((n for n, e in entries.items() if not _differing(_settings(e), wanted)), None)
            if not facets or alone in (None, base, name, partner):
                continue
            key = (name, frozenset((partner, alone)), base)
            if key not in seen:
                seen.add(key)
                yield (name, partner, alone, base), facets
            break


def _settings(entry: dict[str, Any]) -> dict[str, Any]:
    return entry.get("settings") or {}


def _differing(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return the facets that differ; one that is off is the same as one that is not there."""
    return [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]


def _ancestors(name: str, entries: dict[str, Any]) -> Iterator[str]:
    """Yield a technique's parent, the parent's parent, and so on."""
    passed = {name}
    while (name := entries[name].get("parent")) in entries and name not in passed:
        passed.add(name)
        yield name
