"""Flags of a technique: reasons to doubt its timings, each a sentence with the figure.

The comparison adds those that need the study's other techniques (:mod:`scripts.comparison.drift`).
"""

from collections.abc import Callable
from typing import Any

from scripts.metrics import memory, rounding
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run

Flag = dict[str, str]

SPREAD_BOUND = 0.1
FOREIGN_CPU_BOUND = 0.1
STEAL_BOUND = 0.05
GREEDY_BOUND = 0.999
UNUSABLE_BOUND = 0.02


def flags(
    runs: list[Run],
    figures: dict[str, Figure],
    memory_check: dict[str, Any] | None = None,
    spread_bound: float = SPREAD_BOUND,
) -> list[Flag]:
    """Return the flags of a technique that ran; one of a kind, for the run where it is worst.

    Args:
        runs: its runs.
        figures: its figures.
        memory_check: measured over analytic bytes of weights and KV cache, and whether they agree.
        spread_bound: relative standard deviation between runs above which latency is flagged; 0.1 is 10%.
    """
    found = {
        "throttled": _throttled(runs),
        "foreign_gpu": _foreign_gpu(runs),
        "foreign_cpu": _share(
            runs, "foreign_cpu_share", FOREIGN_CPU_BOUND, "other programs used {share:.0%} of the CPU"
        ),
        "steal": _share(runs, "steal_share", STEAL_BOUND, "the hypervisor took away {share:.0%} of the CPU"),
        "spread": _spread(figures, spread_bound),
        "memory": _memory(memory_check),
        "not_greedy": _not_greedy(runs[0], figures),
        "unusable": _unusable(runs[0], figures),
        "truncated": _truncated(figures),
    }
    return [{"kind": kind, "message": message} for kind, message in found.items() if message]


def _during(run: Run) -> dict[str, Any]:
    return (run.info.get("conditions") or {}).get("during") or {}


def _name(runs: list[Run], run: Run) -> str:
    return f"Run {run.info.get('run') or runs.index(run) + 1} of {len(runs)}"


def _worst(runs: list[Run], badness: Callable[[Run], float | None]) -> tuple[Run, float] | None:
    """Return the run with the largest value, or None where no run has one."""
    known = [(run, value) for run in runs if (value := badness(run)) is not None]
    return max(known, key=lambda pair: pair[1]) if known else None


def _throttled(runs: list[Run]) -> str | None:
    worst = _worst(runs, lambda run: len(_during(run).get("throttle_reasons") or []))
    if not worst or not worst[1]:
        return None
    reasons = ", ".join(reason.replace("_", " ") for reason in _during(worst[0])["throttle_reasons"])
    return f"{_name(runs, worst[0])}: the GPU's clocks were held down while it ran ({reasons})."


def _foreign_gpu(runs: list[Run]) -> str | None:
    worst = _worst(runs, lambda run: len(_during(run).get("foreign_gpu_processes") or []))
    if not worst or not worst[1]:
        return None
    count = int(worst[1])
    others = "1 other process was" if count == 1 else f"{count} other processes were"
    return f"{_name(runs, worst[0])}: {others} on its GPUs."


def _share(runs: list[Run], key: str, bound: float, words: str) -> str | None:
    worst = _worst(runs, lambda run: _during(run).get(key))
    if not worst or worst[1] <= bound:
        return None
    return f"{_name(runs, worst[0])}: {words.format(share=worst[1])} (more than {bound:.0%})."


def _spread(figures: dict[str, Figure], bound: float) -> str | None:
    for key, what in (("latency_s", "latency"), ("fixed_latency_s", "fixed-mode latency")):
        percent = figures[key].get("between_run_percent")
        if percent is not None and percent > 100 * bound:
            n = len(figures[key]["runs"])
            return f"The mean {what} of its {n} runs varies by {percent:.1f}% (more than {bound:.0%})."
    return None


def _memory(check: dict[str, Any] | None) -> str | None:
    """Compare measured parts with the model's shape, and their sum with the whole process."""
    if not check:
        return None
    ratios = {"weights": check.get("weights_ratio"), "KV cache": check.get("kv_cache_ratio")}
    off = [
        f"its {name} took {ratio:.2f} times the bytes"
        for name, ratio in ratios.items()
        if ratio is not None and abs(ratio - 1) > memory.TOLERANCE
    ]
    found = None
    if check.get("agrees") is False:
        what = " and ".join(off) or "it held a KV cache and should have none"
        found = f"Memory is not what the model's shape implies: {what}."
    share = check.get("unexplained_share")
    if share is None or share <= memory.TOLERANCE:
        return found
    more = f"Its parts and the whole process differ by {share:.0%} of it (more than {memory.TOLERANCE:.0%})."
    return f"{found} {more}" if found else more


def _not_greedy(first: Run, figures: dict[str, Figure]) -> str | None:
    share, drawn = figures["greedy_agreement"]["value"], (first.info.get("generation") or {}).get("sampling")
    if share is None or not rounding.is_exact(first.info):
        return None
    known = rounding.of_run(first)
    if known is not None and known.gaps:  # a tie that rounding alone flipped is no choice of another token
        share += sum(gap < 0 and known.ties(gap) for gap in known.gaps) / len(known.gaps)
    if share >= GREEDY_BOUND:
        return None
    if drawn:
        return (
            f"Only {share:.2%} of its tokens are those that the same noise draws in a pass of their own (at least "
            f"{GREEDY_BOUND:.1%} expected in float32), so they were not drawn as the study asks."
        )
    return (
        f"Only {share:.2%} of its tokens are the most likely ones in a pass of their own (at least {GREEDY_BOUND:.1%} "
        "expected in float32), so it did not decode greedily."
    )


def _unusable(first: Run, figures: dict[str, Figure]) -> str | None:
    share = figures["unusable_share"]
    if share["value"] is None or share["value"] <= UNUSABLE_BOUND:
        return None
    reasons = [each.stop_reason for answers in first.passes() for each in answers if each.fault is not None]
    breaks, cut = reasons.count("line_break"), reasons.count("length")
    remedies = [f" {breaks} ended at a line break; generation.stop: end_token lets them go on."] if breaks else []
    were = "was cut off at its" if cut == 1 else "were cut off at their"
    remedies += [f" {cut} {were} longest; raise generation.max_new_tokens."] if cut else []
    of = share.get("answers", share["n"])
    return f"{share['count']} of {of} answers had no headline in them: {share['note']}.{''.join(remedies)}"


def _truncated(figures: dict[str, Figure]) -> str | None:
    share = figures["truncated_share"]
    if not share["value"]:
        return None
    return f"{share['count']} of {share['n']} summaries were cut to fit generation.max_prompt_tokens."
