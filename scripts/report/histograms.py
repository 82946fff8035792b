"""How many drafted tokens are accepted, by round and by headline, as bars."""

from typing import Any

from scripts.report import numbers, words

WIDTH, BASE, ROOM = 346, 64, 50
LEFT = 4
GAP = 2


def acceptance(shape: dict[str, Any] | None, break_even: float | None) -> list[dict[str, Any]]:
    """Return the histograms of a technique that drafts, those that were recorded.

    Args:
        shape: its counts.
        break_even: acceptance rate from which drafting pays; a mark on the histogram of headlines.

    Returns:
        Per histogram ``title``, ``bars`` with their places and texts, ``ticks``, ``mark`` or None, and ``text``.
    """
    shape, found = shape or {}, []
    rounds = (shape.get("per_round") or {}).get("counts") or {}
    if sum(rounds.values()):
        names = [str(count) for count in sorted(map(int, rounds))]
        counts = [rounds[name] for name in names]
        total = sum(counts)
        told = [f"{name}: {numbers.share(count / total)}" for name, count in zip(names, counts, strict=True)]
        text = f"{total:,} rounds by accepted tokens; {', '.join(told)}."
        places = [{"x": round(LEFT + (n + 0.5) * WIDTH / len(names), 1), "text": name} for n, name in enumerate(names)]
        found.append(_histogram("Rounds by accepted tokens", names, counts, places, text))
    headlines = shape.get("per_headline") or {}
    if sum(headlines.get("counts") or []):
        edges, counts = headlines["edges"], headlines["counts"]
        names = [f"{numbers.share(edges[n])} to {numbers.share(edges[n + 1])}" for n in range(len(counts))]
        mark, even = None, "where drafting breaks even is not known"
        if break_even is not None:
            mark = {"x": round(LEFT + WIDTH * break_even, 1), "text": "break-even"}
            above = sum(count for count, edge in zip(counts, edges[:-1], strict=True) if edge >= break_even)
            even = f"drafting breaks even at {numbers.share(break_even)}; {above:,} lie in the bars wholly above that"
        text = f"{sum(counts):,} headlines by the share of judged tokens that was accepted; {even}."
        ticks = [{"x": round(LEFT + WIDTH * share, 1), "text": numbers.share(share)} for share in (0, 0.5, 1)]
        found.append(_histogram("Headlines by acceptance rate", names, counts, ticks, text) | {"mark": mark})
    return found


def _histogram(
    title: str, names: list[str], counts: list[int], ticks: list[dict[str, Any]], text: str
) -> dict[str, Any]:
    most, width = max(counts), WIDTH / len(counts)
    bars = [
        {
            "x": round(LEFT + place * width + GAP / 2, 1),
            "y": round(BASE - ROOM * count / most, 1),
            "width": round(width - GAP, 1),
            "height": round(ROOM * count / most, 1),
            "title": f"{name}: {count:,}",
        }
        for place, (name, count) in enumerate(zip(names, counts, strict=True))
        if count
    ]
    return {"title": title, "bars": bars, "ticks": ticks, "mark": None, "text": words.sentence(text)}
