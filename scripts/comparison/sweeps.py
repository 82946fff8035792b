"""The sweeps of a study: techniques that differ in one value, in its order, with those that did not run."""

from typing import Any

from scripts.comparison.loading import Metrics


def sweeps(study: dict[str, Any], metrics: Metrics, break_even: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sweeps, each with its points in the study's order.

    Args:
        study: ``sweeps``: name, technique, facet and points of each.
        metrics: per technique the content of its metrics file.
        break_even: the models of the techniques that speculate.

    Returns:
        ``name``, ``technique``, ``facet``; ``points``: ``value``, ``technique``, ``status`` and ``reason``; and
        ``break_even``, of the points that speculate.
    """
    return [
        {
            "name": sweep.get("name"),
            "technique": sweep.get("technique"),
            "facet": sweep.get("facet"),
            "points": [_point(point, metrics) for point in sweep.get("points") or []],
            "break_even": [
                row
                for point in sweep.get("points") or []
                for row in break_even
                if row["technique"] == point["technique"]
            ],
        }
        for sweep in study.get("sweeps") or []
    ]


def _point(point: dict[str, Any], metrics: Metrics) -> dict[str, Any]:
    """Return a point with what became of its technique."""
    content = metrics.get(point["technique"]) or {"status": "unselected", "reason": "the study did not select it"}
    return {
        "value": point.get("value"),
        "technique": point["technique"],
        "status": content["status"],
        "reason": content.get("reason"),
    }
