"""The order in which runs were measured: only interleaved runs share the machine's drift."""

from datetime import datetime
from itertools import combinations
from typing import Any

from scripts.comparison.loading import Metrics

Span = tuple[datetime, datetime]


def order(metrics: Metrics) -> dict[str, Any]:
    """Reconstruct the order of the runs of the techniques that ran.

    Returns:
        ``blocks``: the k-th block has the techniques in the order in which their k-th runs started; ``interleaved``:
        whether each block ended before the next began, None if unknown; ``note``: a sentence.
    """
    spans = {name: _spans(content) for name, content in metrics.items() if content["status"] == "ok"}
    longest = max((len(runs) for runs in spans.values()), default=0)
    blocks = [
        sorted(
            (name for name, runs in spans.items() if len(runs) > k and runs[k]), key=lambda name, k=k: spans[name][k]
        )
        for k in range(longest)
    ]
    if any(run is None for runs in spans.values() for run in runs):
        return _result(None, "When runs started or ended is not recorded, so their order is not known.", blocks)
    if longest < 2:
        note = "Each technique ran once, so a drift of the machine can't be told from a difference between techniques."
        return _result(None, note, blocks)
    separate = _not_interleaved(spans)
    if not separate:
        note = f"Runs were interleaved: every technique ran once before any ran again ({longest} blocks)."
        return _result(True, note, blocks)
    names = ", ".join(name for name in spans if name in separate)
    note = f"Runs of {names} were measured apart from the others: a drift of the machine may be in their differences."
    if len(separate) >= len(spans) - 1:
        note = "Runs were not interleaved: a drift of the machine may be in the differences between techniques."
    return _result(False, note, blocks)


def in_rounds(metrics: Metrics) -> set[str]:
    """Return the techniques whose runs are interleaved in rounds; none if times are unknown."""
    spans = {name: _spans(content) for name, content in metrics.items() if content["status"] == "ok"}
    if any(run is None for runs in spans.values() for run in runs):
        return set()
    separate = _not_interleaved(spans)
    return set() if len(separate) >= len(spans) - 1 else {name for name, runs in spans.items() if runs} - separate


def _result(interleaved: bool | None, note: str, blocks: list[list[str]]) -> dict[str, Any]:
    return {"interleaved": interleaved, "note": note, "blocks": blocks}


def _spans(content: dict[str, Any]) -> list[Span | None]:
    """Return start and end of each run, None where they can't be read."""
    spans = []
    for run in content.get("runs") or []:
        try:
            spans.append(tuple(datetime.fromisoformat(run[key]) for key in ("started_at", "finished_at")))
        except (KeyError, TypeError, ValueError):
            spans.append(None)
    return spans


def _not_interleaved(spans: dict[str, list[Span]]) -> set[str]:
    """Return the fewest techniques, found greedily, without which every block ended before the next one began."""
    overlapping: dict[str, set[str]] = {name: set() for name in spans}
    for one, other in combinations(spans, 2):
        if _overlap(spans[one], spans[other]):
            overlapping[one].add(other)
            overlapping[other].add(one)
    separate: set[str] = set()
    while True:
        worst = max(overlapping, key=lambda name: len(overlapping[name]), default=None)
        if worst is None or not overlapping[worst]:
            return separate
        separate.add(worst)
        for other in overlapping.pop(worst):
            overlapping[other].remove(worst)


def _overlap(ours: list[Span], theirs: list[Span]) -> bool:
    """Whether a run of one had not ended when the other's next one began."""
    return any(
        first[k][1] > second[k + 1][0]
        for first, second in ((ours, theirs), (theirs, ours))
        for k in range(min(len(first), len(second) - 1))
    )
