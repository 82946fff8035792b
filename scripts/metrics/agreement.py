"""Whether answers under load are those that the same prompts got one at a time."""

from collections.abc import Iterable
from typing import Any

from scripts.metrics.answers import reader
from scripts.metrics.answers.reader import How
from scripts.metrics.samples import Sample

EXAMPLES = 5
WARM_UP = "warm_up"


def agreement(alone: Iterable[Sample], records: Iterable[dict[str, Any]], answer: How = reader.AUTO) -> dict[str, Any]:
    """Compare answers, by token ids where both have them from the model itself, and else by headline.

    Args:
        alone: samples of a run whose requests were sent one at a time.
        records: lines of requests.jsonl; the warm-up, failed requests, and prompts that were made for the load are
            passed over.
        answer: the study's ``generation.answer``.

    Returns:
        ``compared`` and ``same`` answers (a prompt that was sent at several rates counts each time), ``by_text``: how
        many of them by headline, and ``examples`` of others.
    """
    known = {sample.id: sample for sample in alone}
    compared = same = by_text = 0
    others: list[dict[str, Any]] = []
    for record in records:
        sample = known.get(record.get("id"))
        if sample is None or record.get("text") is None or record.get("prompt") != "given" or record.get("error_kind"):
            continue
        if record.get("phase") == WARM_UP:
            continue
        headline = reader.read(record["text"], answer).text
        by_ids = bool(record.get("token_ids")) and sample.tokens in (None, "api")
        equal = record["token_ids"] == sample.token_ids if by_ids else headline == sample.headline
        compared, same, by_text = compared + 1, same + equal, by_text + (not by_ids)
        if not equal and len(others) < EXAMPLES:
            others.append({"id": sample.id, "alone": sample.headline, "load": headline})
    return {"compared": compared, "same": same, "by_text": by_text, "examples": others}
