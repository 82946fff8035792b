"""What every technique wrote for each prompt, with its scores: each distinct headline once."""

from typing import Any

from scripts.comparison.loading import Metrics
from scripts.comparison.rounding import significant
from scripts.metrics import rouge

DEFAULT_SHOWN = 500
SCORE_DIGITS = 4
RAW_CHARACTERS = 1000
"""Of an answer that is kept beside its headline; a model may have thought for pages."""
RAW_ANSWERS = 3
"""Distinct answers that are kept of those from which the same headline was read."""

Text = dict[str, Any]


def prompts(study: dict[str, Any], dataset: list[dict[str, Any]], metrics: Metrics) -> dict[str, Any]:
    """Return the first prompts of the evaluation set with what every technique that ran made of them.

    Headlines are passed through as they are: whoever shows them makes them inert.

    Args:
        study: ``techniques`` in report order, and ``examples``: how many prompts to show.
        dataset: the rows of the evaluation set.
        metrics: per technique the content of its metrics file.

    Returns:
        ``shown`` and ``total`` prompts; ``rows``: each prompt with its distinct headlines (``texts``) in the order of
        the techniques that wrote them (in their first draw, where there are several), and their ROUGE F1, or None where
        it was not measured; ``draws``: how many answers each prompt was given; and per technique, one
        entry a row: ``wrote``, the index of its headline among those of the row; ``latency_s``, averaged over its
        runs; ``new_tokens``.

        Where an answer held more than the headline, or none was found in it, the headline has ``raw``: the ``answer``
        or its beginning, its ``length`` in characters, what was ``removed``, in words, and ``by`` which techniques.
    """
    count = study.get("examples", DEFAULT_SHOWN)
    shown = dataset[: DEFAULT_SHOWN if count is None else count]
    names = [entry["name"] for entry in study["techniques"]]
    ran = {name: metrics[name]["samples"] for name in names if metrics[name]["status"] == "ok"}
    texts: list[dict[str, Text]] = [{} for _ in shown]
    wrote = {
        name: [_place(texts[index], name, samples, index) for index in range(len(shown))]
        for name, samples in ran.items()
    }
    return {
        "shown": len(shown),
        "total": len(dataset),
        "draws": max((metrics[name].get("draws") or 1 for name in ran), default=1),
        "rows": [
            {
                "id": row["id"],
                "category": row.get("category") or "",
                "summary": row["summary"],
                "reference": row["headline"],
                "texts": list(found.values()),
            }
            for row, found in zip(shown, texts, strict=True)
        ],
        "wrote": wrote,
        "latency_s": {
            name: [significant(value) for value in samples["latency_s"][: len(shown)]] for name, samples in ran.items()
        },
        "new_tokens": {name: samples["new_tokens"][: len(shown)] for name, samples in ran.items()},
    }


def _place(texts: dict[str, Text], name: str, samples: dict[str, Any], index: int) -> int:
    """Add a technique's headline to those of its prompt, where it is a new one, and return its index there."""
    text = samples["headline"][index]
    fault = (samples.get("fault") or {index: None})[index] if not text else None
    entry = texts.setdefault(text, {"text": text} | ({"fault": fault} if fault else {}) | dict.fromkeys(rouge.KEYS))
    for key in rouge.KEYS:
        # The score is the text's own, whoever wrote it; where one technique's texts aren't scored, another's may be.
        scores = samples.get("first_draw") or samples
        value = scores[key][index] if scores.get(key) else None
        if entry[key] is None and value is not None:
            entry[key] = round(value, SCORE_DIGITS)
    _keep_raw(entry, name, samples, index)
    return list(texts).index(text)


def _keep_raw(entry: Text, name: str, samples: dict[str, Any], index: int) -> None:
    """Keep the answer of a technique with its headline where it held more than that, each distinct one once."""
    answer, removed = (samples[key][index] if samples.get(key) else None for key in ("answer", "removed"))
    if not answer or not (removed or not entry["text"]):
        return
    found = {"answer": answer[:RAW_CHARACTERS], "length": len(answer), "removed": removed or []}
    kept = entry.setdefault("raw", [])
    same = next((each for each in kept if all(each[key] == found[key] for key in found)), None)
    if same:
        same["by"].append(name)
    elif len(kept) < RAW_ANSWERS:
        kept.append(found | {"by": [name]})
