"""A level in figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from scripts.traffic.level import FAILURES, Held
from scripts.traffic.messages import CANCELLED
from scripts.traffic.records import Record
from scripts.traffic.settings import CLOSED, LIMITS, POISSON, Limits

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
#: A send lag of more than this share of a time, in the mean or at the percentile, distorts it.
LAG_SHARE = 0.05
#: A send lag that is too long where no request was answered, in seconds.
LAG_S = 0.05
#: A sending process that used more of a core than this may have been late without knowing.
BUSY_SHARE = 0.7
#: What bounds where the queue grew, and no measured request was answered or no limit broken yet.
SATURATED = "saturated"
LATE_SENDS, BUSY, TOO_FEW, NOT_SETTLED = "late_sends", "busy_generator", "too_few_requests", "not_settled"


def nearest_rank(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of the ascending values with a share at or below it."""
    return float(ordered[max(math.ceil(round(share * len(ordered), 9)), 1) - 1])


def summary(held: Held) -> dict[str, Any]:
    """Return the figures of a level, as in ``levels`` of ``load.json``; times in seconds, rates per second.

    ``requests`` counts all that were sent: ramp-up, measured and cool-down. They are ``completed``, ``failed`` or
    ``cancelled``, the last where the level ended before the answer. Times are of the ``measured`` requests that were
    answered. ``completed_per_s`` and ``new_tokens_per_s`` count what ended inside the window, whenever it was due, and
    ``goodput_per_s`` those of them that keep every limit. ``within_limits_share`` is of the measured requests, of which
    a failed one keeps no limit, nor does one that was cancelled where the queue grew without bound; of levels that
    ended early for another reason neither share nor goodput is known.
    """
    plan, limits = held.plan, held.plan.limits
    measured = held.measured
    answered = [record for record in measured if record.ok]
    errors = Counter(record.error_kind for record in held.records if not record.ok)
    cancelled = errors.pop(CANCELLED, 0)
    length = held.window[1] - held.window[0] if held.window else 0.0
    inside = [record for record in held.records if record.ok and held.window and within(record, held.window)]
    good, kept_inside = (sum(all(judged(record, limits).values()) for record in some) for some in (answered, inside))
    times = {name: described([getattr(record, name) for record in answered], limits) for name in LIMITS.values()}
    kept = limits_kept(held)
    known = bool(measured and limits.set()) and (held.saturated or not held.ended_early)
    lag = described([record.sent_s - record.due_s for record in measured], limits)
    tokens = sum(record.new_tokens for record in inside)
    return {
        "number": plan.number, "purpose": plan.purpose, "scenario": scenario(held), "arrivals": plan.arrivals,
        "rate_per_s": plan.rate, "concurrency": plan.concurrency, "seed": plan.seed,
        "requests": len(held.records), "completed": len(held.records) - errors.total() - cancelled,
        "failed": errors.total(), "cancelled": cancelled,
        "measured": len(measured), "measured_failed": len(measured) - len(answered),
        "window_s": list(held.window) if held.window else None, "duration_s": held.duration_s,
        "completed_per_s": len(inside) / length if length else None,
        "new_tokens_per_s": tokens / length if length else None,
        **times,
        "send_lag_s": lag,
        "within_limits_share": good / len(measured) if known else None,
        "goodput_per_s": kept_inside / length if length and known else None,
        "limits": kept,
        "keeps_limits": keeps(held, kept),
        "bound": broken(held, kept),
        "saturated": held.saturated, "ended_early": held.ended_early, "errors": dict(errors),
        "flags": flags(held, times, lag, errors.total()),
        "cpu_share": max(held.shares_of_a_core, default=None),
    }  # fmt: skip


def scenario(held: Held) -> str | None:
    """Return the scenario of MLPerf Inference that a level is like, or None.

    SingleStream sends a request when the one before is answered, Offline has all of them at hand at once, Server has
    Poisson arrivals and a limit on a percentile.
    """
    plan = held.plan
    if plan.arrivals == CLOSED:
        if plan.concurrency == 1:
            return "SingleStream"
        return "Offline" if plan.requests and plan.concurrency >= plan.requests else None
    return "Server" if plan.arrivals == POISSON and plan.limits.set() else None


def within(record: Record, window: tuple[float, float]) -> bool:
    """Whether a request was answered inside the window."""
    return window[0] < record.last_s <= window[1]


def described(values: Sequence[float | None], limits: Limits) -> dict[str, float | int] | None:
    """Return number, mean, nearest-rank percentiles and maximum; None without a value."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    wanted = sorted({*PERCENTILES, limits.percentile})
    ranks = {f"p{percentile:g}": nearest_rank(ordered, percentile / 100) for percentile in wanted}
    return {"n": len(ordered), "mean": math.fsum(ordered) / len(ordered), **ranks, "max": ordered[-1]}


def judged(record: Record, limits: Limits) -> dict[str, bool]:
    """Return of each limit whether a request keeps it; one without such a time, as with one token, does."""
    if not record.ok:
        return dict.fromkeys(limits.set(), False)
    values = {name: getattr(record, LIMITS[name]) for name in limits.set()}
    return {name: value is None or value * 1000 <= getattr(limits, name) for name, value in values.items()}


def limits_kept(held: Held) -> dict[str, dict[str, Any]]:
    """Return of each limit its ``limit``, what is ``at_percentile`` and whether that ``keeps`` it, in milliseconds.

    Failed requests take for ever. What was cancelled is left out, so ``keeps`` is None for a level that ended early,
    unless it did since this limit was broken whatever would have come.
    """
    kept = {}
    for name, limit in held.plan.limits.set().items():
        known = [record for record in held.measured if record.error_kind != CANCELLED]
        values = [getattr(record, LIMITS[name]) if record.ok else math.inf for record in known]
        ordered = sorted(value for value in values if value is not None)
        value = nearest_rank(ordered, held.plan.limits.share) * 1000 if ordered else None
        keeps = None if value is None or held.ended_early else value <= limit
        if held.broken == name:
            keeps = False
        kept[name] = {"limit": limit, "at_percentile": value if value != math.inf else None, "keeps": keeps}
    return kept


def broken(held: Held, kept: dict[str, dict[str, Any]]) -> str | None:
    """Return which limit is furthest behind, or None.

    ``failures`` where too many failed for any, ``saturated`` where the queue grew before a time was known or a limit
    broken.
    """
    if held.broken or held.gone:
        return held.broken or FAILURES
    failed = sum(not record.ok and record.error_kind != CANCELLED for record in held.measured)
    if failed > len(held.measured) * (1 - held.plan.limits.share):
        return FAILURES
    over = {name: entry["at_percentile"] / entry["limit"] for name, entry in kept.items() if entry["at_percentile"]}
    worst = max(over, key=over.get, default=None)
    if worst and (over[worst] > 1 or (held.saturated and held.ended_early)):
        return worst
    return SATURATED if held.saturated else None


def keeps(held: Held, kept: dict[str, dict[str, Any]]) -> bool | None:
    """Return whether a level keeps all limits; None where it has none or ended before that was known."""
    if not kept:
        return None
    if held.saturated or held.broken or held.gone:
        return False
    if held.ended_early or not held.measured:
        return None
    return all(entry["keeps"] is not False for entry in kept.values())


def flags(held: Held, times: dict[str, Any], lag: dict[str, Any] | None, failed: int) -> list[str]:
    """Return what to mind about a level.

    ``late_sends``: the send lag, its mean or its percentile, is more than 5% of that of the latency or the time to
    first token, so the generator's own lateness is a part of them that counts. ``busy_generator``: a sending process
    used more than 70% of a core. ``too_few_requests``: too few for the percentile, see ``Limits.needed``.
    """
    limits = held.plan.limits
    found = []
    key = f"p{limits.percentile:g}"
    known = [times[name] for name in ("latency_s", "ttft_s") if times[name]]
    late = any(lag[entry] > LAG_SHARE * time[entry] for time in known for entry in ("mean", key)) if lag else False
    unknown = bool(lag) and not known and lag[key] > LAG_S
    if held.plan.arrivals != CLOSED and (held.late or late or unknown):
        found.append(LATE_SENDS)
    if max(held.shares_of_a_core, default=0.0) > BUSY_SHARE:
        found.append(BUSY)
    if len(held.measured) < limits.needed and not held.ended_early:
        found.append(TOO_FEW)
    if failed:
        found.append(FAILURES)
    return found
