"""What headlines state that their summaries do not, prompt by prompt."""

from typing import Any

from scripts.comparison.loading import Metrics

SHOWN = 200
"""Headlines listed of one technique."""


def unsupported(dataset: list[dict[str, Any]], metrics: Metrics) -> dict[str, dict[str, Any]]:
    """Return the numbers, dates and names of each technique's headlines that the summaries have not.

    Texts are passed through as they are: whoever shows them makes them inert.

    Returns:
        Per technique whose headlines were looked at: ``count`` of headlines with any, ``of`` how many, and ``rows``,
        the first of them: ``prompt`` (from 1), ``id``, ``headline`` and ``items``.
    """
    found = {}
    for name, content in metrics.items():
        samples = content["samples"] if content["status"] == "ok" else None
        items = (samples or {}).get("unsupported")
        if items is None:
            continue
        rows = [
            {"prompt": at + 1, "id": row["id"], "headline": samples["headline"][at], "items": items[at]}
            for at, row in enumerate(dataset)
            if items[at]
        ]
        found[name] = {"count": len(rows), "of": len(dataset), "rows": rows[:SHOWN]}
    return found
