"""What a finished study reached, beside its limits.

    python -m tests.performance.limits graph-engine
    python -m tests.performance.limits built-in --comparison results/comparison.json

``limits.yaml`` names figures of comparison.json as ``technique.figure``, alone or one ``over`` another; of techniques
that match a pattern the best counts: the lowest of times, the highest of other figures. The figure itself is judged;
its 95% interval stands beside it. The exit status is 1 where one falls short.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from scripts.foundation import files

LIMITS = Path(__file__).with_suffix(".yaml")
SHORT = "SHORT"
HEAD = "| what | measured (95%) | limit | aim | verdict | techniques |\n" + "|---" * 6 + "|"


class NotMeasured(Exception):
    """The comparison lacks a figure; the message says why."""


@dataclass(frozen=True)
class Measured:
    """A figure or a ratio of two, its interval (None without one), and the techniques behind it."""

    value: float
    low: float | None
    high: float | None
    techniques: tuple[str, ...]


def measured(comparison: dict[str, Any], limit: dict[str, Any]) -> Measured:
    """The figure that a limit names.

    The interval of a ratio is that of the change, which is paired, where one technique is the other's parent or the
    baseline; else it goes from end to end of both intervals.

    Raises:
        NotMeasured: the comparison lacks it.
    """
    top, name = _best(comparison, limit["figure"])
    if "over" not in limit:
        return Measured(*(top["figures"][name][end] for end in ("value", "low", "high")), (top["name"],))
    bottom, other = _best(comparison, limit["over"])
    one, two = top["figures"][name], bottom["figures"][other]
    low, high = _paired(top, bottom, name, other) or (
        one["low"] and two["high"] and one["low"] / two["high"],
        one["high"] and two["low"] and one["high"] / two["low"],
    )
    return Measured(one["value"] / two["value"], low, high, (top["name"], bottom["name"]))


def _best(comparison: dict[str, Any], named: str) -> tuple[dict[str, Any], str]:
    """The technique that a name or a pattern means, and the key of the figure."""
    pattern, _, key = named.rpartition(".")
    matching = [row for row in comparison["techniques"] if fnmatchcase(row["name"], pattern)]
    if not matching:
        raise NotMeasured(f"the study has no technique {pattern}")
    known = [row for row in matching if ((row["figures"] or {}).get(key) or {}).get("value") is not None]
    if not known:
        row = matching[0]
        note = ((row["figures"] or {}).get(key) or {}).get("note")
        raise NotMeasured(f"{row['name']}: {row['reason'] or note or f'it has no {key}'}")
    pick = min if known[0]["figures"][key]["unit"] == "s" else max
    return pick(known, key=lambda row: row["figures"][key]["value"]), key


def _paired(
    top: dict[str, Any], bottom: dict[str, Any], name: str, other: str
) -> tuple[float | None, float | None] | None:
    """Ends of a ratio's interval by the comparison's own change of one technique against the other, if there is one."""
    change = f"{re.sub(r'(_samples_per)?_s$', '', name)}_change_percent"
    for row, against, inverse in ((top, bottom, False), (bottom, top, True)):
        for kind in ("parent", "baseline"):
            changes = row["changes"][kind]
            found = (changes["figures"] or {}).get(change) if changes["against"] == against["name"] else None
            if name == other and found and found["low"] is not None and found["high"] is not None:
                ends = [1 + found[end] / 100 for end in ("low", "high")]
                return (1 / ends[1], 1 / ends[0]) if inverse else (ends[0], ends[1])
    return None


def verdict(value: float, limit: dict[str, Any]) -> str:
    """Whether a figure reaches its aim, or its limit, or falls short; a dash without a limit."""
    bound = limit.get("least", limit.get("most"))
    if bound is None:
        return "-"
    sign, slack = (-1 if "most" in limit else 1), 1e-9  # of two figures that are equal on paper neither falls short
    if sign * (value - limit["aim"]) >= -slack:
        return "aim"
    return "enough" if sign * (value - bound) >= -slack else SHORT


def line(comparison: dict[str, Any], limit: dict[str, Any]) -> tuple[str, str]:
    """A row of the table, and its verdict."""
    sign = "<=" if "most" in limit else ">="
    bounds = [
        f"{sign} {bound:,g}" if bound is not None else ""
        for bound in (limit.get("least", limit.get("most")), limit.get("aim"))
    ]
    try:
        found = measured(comparison, limit)
    except NotMeasured as reason:
        return f"| {limit['what']} |  | {' | '.join(bounds)} | not measured | {reason} |", "not measured"
    said = verdict(found.value, limit)
    figure = f"{found.value:,.4g}"
    if found.low is not None and found.high is not None:
        figure += f" ({found.low:,.4g} to {found.high:,.4g})"
    return f"| {limit['what']} | {figure} | {' | '.join(bounds)} | {said} | {', '.join(found.techniques)} |", said


def main(arguments: list[str] | None = None) -> int:
    """Print the table of a study."""
    limits = yaml.safe_load(LIMITS.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=list(limits), help="whose limits")
    parser.add_argument("--comparison", type=Path, default=Path("results/comparison.json"))
    given = parser.parse_args(arguments)
    comparison = files.read_json(given.comparison)
    print(f"{comparison['title']}\n\n{HEAD}")
    verdicts = []
    for limit in limits[given.study]:
        row, said = line(comparison, limit)
        verdicts.append(said)
        print(row)
    return int(SHORT in verdicts)


if __name__ == "__main__":
    sys.exit(main())
