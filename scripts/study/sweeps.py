"""Unfolds sweeps: one technique for each value of a facet, each an entry like any other and cached by itself."""

from __future__ import annotations

import json
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import suggestion
from scripts.techniques.registry import facet_names, load_facet


def unfold(entries: dict[str, Any], sweeps: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Add a technique for each point of each sweep.

    A technique that sets the facet itself is repeated with other values of it, beside the technique; of one that does
    not, each point is an extension. So every point differs from its parent in the facet alone.

    Args:
        entries: the configuration's ``techniques``.
        sweeps: the configuration's ``sweeps``.

    Returns:
        The entries with those of the points, and per sweep its name, technique, facet and points (value and name of
        the technique).

    Raises:
        StudyError: an unknown technique or facet, or a point whose name is taken; the sentence names the key.
    """
    unfolded = dict(entries)
    described = []
    for name, sweep in sweeps.items():
        where, base = f"sweeps.{name}", sweep["technique"]
        if base not in entries:
            raise StudyError(f"{where}.technique is '{base}', which is no technique{suggestion(base, entries)}.")
        facet, _, option = sweep["facet"].partition(".")
        if facet not in facet_names():
            raise StudyError(f"{where}.facet is '{facet}', which is no facet{suggestion(facet, facet_names())}.")
        points = []
        for number, value in enumerate(sweep["values"], start=1):
            point = point_name(name, number if isinstance(value, list) else value)
            if point in unfolded:
                raise StudyError(f"{where} makes a technique '{point}', which there is already; rename one of them.")
            unfolded[point] = _entry(entries, base, facet, option, value)
            points.append({"value": _shown(value), "technique": point})
        described.append({"name": name, "technique": base, "facet": sweep["facet"], "points": points})
    return unfolded, described


def point_name(sweep: str, value: Any) -> str:
    """The name of a sweep's point: ``pruning_0p3`` for 0.3; of a list its place, from 1."""
    return f"{sweep}_{value}".replace(".", "p").replace("-", "m")


def _shown(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False)[:100] if isinstance(value, list) else value


def _entry(entries: dict[str, Any], base: str, facet: str, option: str, value: Any) -> dict[str, Any]:
    entry = entries[base]
    label = f"{entry.get('label', base)[:50]}: {option or facet} {_shown(value)}"
    if facet not in entry:
        return {"label": label, "extends": base, facet: {option: value} if option else value}
    changed = {option: value} if option else value
    if option:
        resolved = load_facet(facet).resolve(entry[facet])
        changed = (resolved if isinstance(resolved, dict) else {}) | changed
    return entry | {"label": label, facet: changed}
