"""How times are distributed, over requests and over the tokens of one, and how many drafted tokens are accepted.

Quantiles are nearest ranks, as in the figures: times that were measured, none between them.
"""

from typing import Any

import numpy as np

from scripts.comparison.loading import Metrics
from scripts.comparison.rounding import significant
from scripts.metrics import figures

SHARES = (0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 1)
QUARTILES = {"low_s": 0.25, "median_s": 0.5, "high_s": 0.75}
MIN_GAPS = 5
BINS = 10
NO_TIMES = "the times of single tokens were not kept"
UNTOLD = "the server's chunks do not tell when each token was out"

Samples = dict[str, Any]


def shapes(metrics: Metrics, baseline: str | None) -> dict[str, dict[str, Any]]:
    """Return the distributions of each technique that ran.

    Args:
        metrics: per technique the content of its metrics file.
        baseline: the technique whose prompt of median latency is the example of every one; None where it did not run,
            and then the first that ran gives it.

    Returns:
        Per technique ``latency`` (requests of all runs, natural mode), ``timeline`` (the example's tokens in run 1),
        ``gaps`` (time since the token before, by position, over the prompts of run 1), ``acceptance`` (run 1), each
        None where there is none, and ``reasons`` with a sentence for each of those.
    """
    ran = {name: content for name, content in metrics.items() if content["status"] == "ok"}
    if not ran:
        return {}
    reference = ran[baseline] if baseline in ran else next(iter(ran.values()))
    example = _median_prompt(reference["samples"])
    return {name: _technique(content, example) for name, content in ran.items()}


def _technique(content: dict[str, Any], example: int | None) -> dict[str, Any]:
    samples = content["samples"]
    found = {
        "latency": _latency(samples),
        "timeline": _timeline(samples, example),
        "gaps": _gaps(samples),
        "acceptance": _acceptance(content),
    }
    present = {key: None if isinstance(value, str) else value for key, value in found.items()}
    return present | {"reasons": {key: value for key, value in found.items() if isinstance(value, str)}}


def _median_prompt(samples: Samples) -> int | None:
    """Return the index of the prompt whose latency in run 1 is the median; the earliest of equals."""
    latencies = (samples.get("run_latency_s") or [[]])[0]
    if not latencies:
        return None
    return latencies.index(figures.nearest_rank(sorted(latencies), 0.5))


def _latency(samples: Samples) -> dict[str, Any] | str:
    pooled = sorted(value for run in samples.get("run_latency_s") or [] for value in run)
    if not pooled:
        return "the times of single requests were not kept"
    quantiles = [[share, significant(figures.nearest_rank(pooled, share))] for share in SHARES]
    return {"n": len(pooled), "quantiles": quantiles}


def _timeline(samples: Samples, example: int | None) -> dict[str, Any] | str:
    times = samples.get("token_times_s")
    if not times or example is None:
        return NO_TIMES
    if times[example] is None:
        return UNTOLD
    if not times[example]:
        return "it wrote no token for this prompt"
    rounded = [significant(time) for time in times[example]]
    return {"prompt_id": samples["id"][example], "prompt": example, "token_times_s": rounded}


def _gaps(samples: Samples) -> dict[str, Any] | str:
    """Return the quartiles of the gap before each token, the second one first, while enough prompts have so many."""
    times = samples.get("token_times_s")
    if not times:
        return NO_TIMES
    times = [of_prompt for of_prompt in times if of_prompt is not None]
    if not times:
        return UNTOLD
    result: dict[str, list] = {"position": [], **{key: [] for key in QUARTILES}, "n": []}
    for position in range(2, max(map(len, times)) + 1):
        gaps = sorted(
            of_prompt[position - 1] - of_prompt[position - 2] for of_prompt in times if len(of_prompt) >= position
        )
        if len(gaps) < MIN_GAPS:
            break
        result["position"].append(position)
        result["n"].append(len(gaps))
        for key, share in QUARTILES.items():
            result[key].append(significant(figures.nearest_rank(gaps, share)))
    return result if result["position"] else f"fewer than {MIN_GAPS} prompts have two tokens"


def _acceptance(content: dict[str, Any]) -> dict[str, Any] | str:
    """Return how many drafted tokens were accepted, by round and by headline; the reason of the rate where it has one.

    A headline's rate is accepted / (accepted + rejected), as the figure's; headlines without a judged token have none.
    """
    rate = content["figures"].get("acceptance_rate") or {}
    if rate.get("value") is None:
        return rate.get("note") or "not measured"
    samples = content["samples"]
    if not samples.get("accepted_tokens"):
        return "the counts of single headlines were not kept"
    accepted, rejected = (np.array(samples[key], dtype=float) for key in ("accepted_tokens", "rejected_tokens"))
    judged = accepted + rejected > 0
    rates = accepted[judged] / (accepted + rejected)[judged]
    # What lies on an edge belongs to the bin above it, whatever its last binary digit.
    bins = np.minimum((rates * BINS + 1e-9).astype(int), BINS - 1)
    histogram = ((content.get("evidence") or {}).get("speculation") or {}).get("accepted_per_round_histogram") or []
    return {
        "per_round": {"counts": {str(taken): rounds for taken, rounds in enumerate(histogram)}} if histogram else None,
        "per_headline": {
            "edges": [edge / BINS for edge in range(BINS + 1)],
            "counts": np.bincount(bins, minlength=BINS).tolist(),
        },
        "n_rounds": sum(histogram) if histogram else int(sum(samples["rounds"])),
        "n_headlines": int(judged.sum()),
    }
