"""What drafting must achieve to pay: the expected speed-up of speculative decoding and where it breaks even.

Leviathan, Kalman and Matias, Fast Inference from Transformers via Speculative Decoding, ICML 2023, theorem 3.8: with k
drafted tokens a round, acceptance rate a and a draft forward that costs c target forwards, the expected speed-up over
the target alone is S(a) = (1 - a^(k+1)) / ((1 - a) (1 + k c)).

That takes the verification of k + 1 tokens to cost one target forward. Where its time was measured, as v target
forwards, the same is also said with it: (1 - a^(k+1)) / ((1 - a) (v + k c)).
"""

from typing import Any

from scipy.optimize import brentq

from scripts.comparison.loading import Metrics
from scripts.metrics import figures
from scripts.metrics.figures import Figure


def speedup(acceptance: float, tokens: int, cost: float, verification: float = 1.0) -> float:
    """Return S(a); the geometric series is summed term by term, so that a = 1 is no special case."""
    return sum(acceptance**power for power in range(tokens + 1)) / (verification + tokens * cost)


def break_even(tokens: int, cost: float) -> float | None:
    """Return the acceptance rate at which drafting neither gains nor costs, or None where none is enough."""
    if speedup(1.0, tokens, cost) < 1:
        return None
    return float(brentq(lambda acceptance: speedup(acceptance, tokens, cost) - 1, 0.0, 1.0))


def break_evens(metrics: Metrics, measured: dict[str, Figure]) -> list[dict[str, Any]]:
    """Return the model of speculation beside what was measured, for every technique that ran with a draft model.

    Args:
        metrics: per technique the content of its metrics file.
        measured: per technique its measured speed-up against its parent.

    Returns:
        Per technique ``draft_tokens``, ``cost_ratio`` (a draft forward over a target forward), ``acceptance_rate``,
        ``break_even_acceptance``, ``predicted_speedup`` at the measured acceptance, ``verification_ratio`` (a forward
        of k + 1 tokens over one of a single token), ``predicted_with_verification``, and ``measured_speedup``.
    """
    rows = []
    for name, content in metrics.items():
        settings = (content.get("settings") or {}).get("speculation")
        if content["status"] != "ok" or not isinstance(settings, dict) or not settings.get("draft"):
            continue
        tokens = int(settings.get("tokens") or 0)
        rows.append(
            {"technique": name, "draft_tokens": tokens} | _model(content, tokens) | {"measured_speedup": measured[name]}
        )
    return rows


def _model(content: dict[str, Any], tokens: int) -> dict[str, Figure]:
    """Return the figures of the model, without values where the times of the two models were not measured apart."""
    acceptance = content["figures"].get("acceptance_rate") or figures.missing("1", "not measured")
    time = content.get("time") or {}
    target, draft = time.get("target_forward_s"), time.get("draft_forward_s")
    if not target or draft is None or tokens < 1:
        none = figures.missing("1", "the time of a draft and of a target forward was not measured")
        return {
            "cost_ratio": none,
            "acceptance_rate": acceptance,
            "break_even_acceptance": none,
            "predicted_speedup": none,
            "verification_ratio": none,
            "predicted_with_verification": none,
        }
    cost = draft / target
    even = break_even(tokens, cost)
    reason = f"not reachable: a draft forward costs {cost:.2f} target forwards, more than an accepted token saves"
    return {
        "cost_ratio": figures.figure(cost, "1", 1, note=figures.ONE_READING),
        "acceptance_rate": acceptance,
        "break_even_acceptance": figures.missing("1", reason) if even is None else figures.figure(even, "1", 1),
        "predicted_speedup": _predicted(acceptance, tokens, cost, 1.0),
    } | _verified(acceptance, tokens, cost, (time.get("verify_forward_s") or 0) / target)


def _verified(acceptance: Figure, tokens: int, cost: float, verification: float) -> dict[str, Figure]:
    """Return the prediction with the verification's own time; of ``generate``, that time is not known."""
    if not verification:
        none = figures.missing("1", "the time of a verification was not measured")
        return {"verification_ratio": none, "predicted_with_verification": none}
    return {
        "verification_ratio": figures.figure(verification, "1", 1, note=figures.ONE_READING),
        "predicted_with_verification": _predicted(acceptance, tokens, cost, verification),
    }


def _predicted(acceptance: Figure, tokens: int, cost: float, verification: float) -> Figure:
    if acceptance["value"] is None:
        return figures.missing("1", acceptance["note"] or "the acceptance rate is not known")
    value, low, high = (
        None if acceptance[end] is None else speedup(acceptance[end], tokens, cost, verification)
        for end in ("value", "low", "high")
    )
    note = "the interval is that of the acceptance rate"
    return figures.figure(value, "1", acceptance["n"], (low, high), acceptance["interval"], note)
