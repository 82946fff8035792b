"""All rates of the load tests: what each technique did at each, and what its server could prove."""

from statistics import median
from typing import Any

from scripts.report import load as told
from scripts.report import numbers, rows, text, words
from scripts.report.section import Section

Levels = list[dict[str, Any]]
KINDS = ("latency_s", "ttft_s", "tpot_s")


def rates(comparison: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return a table a technique, its rates from low to high; None where none was tested under load.

    Returns:
        Per technique ``label``, ``served`` (what served it), ``rows`` (a rate or a concurrency, over all runs), and
        ``facts``: sentences on agreement, the load generator, memory, and what the server proved or could not.
    """
    found = comparison.get("load")
    if not found:
        return None
    by_name = rows.by_name(comparison)
    tested = [by_name[name] for name in [*found["order"], *found["missing"]]]
    return [_technique(technique, told.percentile(found["settings"])) for technique in tested]


def _technique(technique: dict[str, Any], percentile: str) -> dict[str, Any]:
    runs = [run for run in technique["load"]["runs"] if run["status"] == "ok"]
    levels = [level for run in runs for level in run["levels"] if level.get("purpose") != "estimate"]
    grouped: dict[tuple[float, int], Levels] = {}
    for level in levels:
        grouped.setdefault((level.get("rate_per_s") or 0.0, level.get("concurrency") or 0), []).append(level)
    server = (runs[0].get("server") or {}) if runs else {}
    return {
        "name": technique["name"],
        "label": technique["label"],
        "reason": "" if technique["load"]["status"] == "ok" else technique["load"]["reason"] or "",
        "served": " ".join(filter(None, (text.plain(server.get(key) or "") for key in ("label", "version")))),
        "percentile": percentile,
        "rows": [_row(key, found, percentile.lower()) for key, found in sorted(grouped.items())],
        "facts": [fact for fact in (_agreement(runs), _generator(runs), _memory(runs), *_proof(server)) if fact],
    }


def _row(key: tuple[float, int], levels: Levels, percentile: str) -> dict[str, Any]:
    """Return a line of the table: medians over the levels of all runs at a rate."""
    rate, concurrency = key
    kept = [level["keeps_limits"] for level in levels if level.get("keeps_limits") is not None]
    return {
        "load": f"{told.rate(rate)}/s" if rate else f"{concurrency} at a time",
        "levels": len(levels),
        "measured": f"{sum(level.get('measured') or 0 for level in levels):,}",
        "failed": sum(level.get("failed") or 0 for level in levels),
        "done": _rate(levels, "completed_per_s"),
        "goodput": _rate(levels, "goodput_per_s"),
        "times": [_ms(levels, kind, name) for kind in KINDS for name in ("p50", percentile)],
        "late": _ms(levels, "send_lag_s", "p99"),
        "kept": f"{sum(kept)} of {len(kept)}" if kept else "",
        "ended": list(dict.fromkeys(level["ended_early"] for level in levels if level.get("ended_early")))[:1],
    }


def _rate(levels: Levels, key: str) -> str:
    known = [level[key] for level in levels if level.get(key) is not None]
    return told.rate(median(known)) if known else numbers.NOTHING


def _ms(levels: Levels, kind: str, name: str) -> str:
    known = [value for level in levels if (value := (level.get(kind) or {}).get(name)) is not None]
    return numbers.fixed(1000 * median(known), 1) if known else numbers.NOTHING


def _agreement(runs: list[dict[str, Any]]) -> str:
    compared = sum((run.get("agreement") or {}).get("compared") or 0 for run in runs)
    same = sum((run.get("agreement") or {}).get("same") or 0 for run in runs)
    if not compared:
        return ""
    by_text = any((run.get("agreement") or {}).get("by_text") for run in runs)
    what = "headlines" if by_text else "tokens"
    return f"{same:,} of {compared:,} answers to the study's own prompts have the {what} that they got one at a time."


def _generator(runs: list[dict[str, Any]]) -> str:
    known = [run["generator"] for run in runs if run.get("generator")]
    if not known:
        return ""
    processes = max(each.get("processes") or 0 for each in known)
    late = sum("late_sends" in (level.get("flags") or []) for run in runs for level in run["levels"])
    count = sum(len(run["levels"]) for run in runs)
    busy = f"; {late} of {count} levels had requests that were sent late" if late else ""
    return f"The load came from {processes} process{'es' if processes != 1 else ''} on the same machine{busy}."


def _memory(runs: list[dict[str, Any]]) -> str:
    peaks = [
        sum(device["peak_bytes"] for device in run["memory"]["devices"])
        for run in runs
        if run.get("memory") and all(device.get("peak_bytes") is not None for device in run["memory"]["devices"])
    ]
    if not peaks:
        return ""
    reserved = next(
        (run["server"]["reserved_tokens"] for run in runs if (run.get("server") or {}).get("reserved_tokens")), None
    )
    ahead = f", with a cache reserved for {reserved:,} tokens, used or not" if reserved else ""
    return f"The server held {words.amount(max(peaks), numbers.BYTES)} at its peak{ahead}."


def _proof(server: dict[str, Any]) -> list[str]:
    proved = [f"{name} ({text.plain(each.get('read') or '')})" for name, each in (server.get("proved") or {}).items()]
    unproved = [f"{each['name']} ({each['reason']})" for each in server.get("unproved") or []]
    return [
        f"Read back: {'; '.join(proved)}." if proved else "",
        f"Asked for, but not to be proved: {'; '.join(unproved)}." if unproved else "",
    ]


SECTION = Section("rates", "Under load: all rates", 65, rates, within="results")
