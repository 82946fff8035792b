"""Whether answers under load are those that the same prompts got alone."""

from __future__ import annotations

from typing import Any

from scripts.inference.prompts import clean_headline

EXAMPLES = 5


class Agreement:
    """Compares answers as they come.

    By token ids where both have them, and else by headline; every answer to a prompt that was also sent alone counts,
    so that a prompt may count several times.

    Args:
        alone: lines of samples.jsonl.
    """

    def __init__(self, alone: list[dict[str, Any]]) -> None:
        self._alone = {line["id"]: line for line in alone}
        self._compared = self._same = self._by_text = 0
        self._others: list[dict[str, Any]] = []

    def see(self, records: list[dict[str, Any]]) -> None:
        """Compare the answers of some requests; those to other prompts, and failed ones, are passed over."""
        for record in records:
            line = self._alone.get(record.get("id"))
            if line is None or record.get("prompt") != "given" or record.get("error_kind") or "text" not in record:
                continue
            self._compared += 1
            ids, own = record.get("token_ids"), line.get("token_ids")
            by_ids = bool(ids) and line.get("tokens", "api") == "api"
            same = list(ids) == list(own) if by_ids else clean_headline(record["text"]) == line["headline"]
            self._by_text += not by_ids
            self._same += same
            if not same and len(self._others) < EXAMPLES:
                self._others.append(
                    {"id": line["id"], "alone": line["headline"], "load": clean_headline(record["text"])}
                )

    def facts(self) -> dict[str, Any]:
        """``compared`` and ``same`` answers, ``by_text``: how many of them by headline; ``examples`` of others."""
        return {
            "compared": self._compared, "same": self._same, "by_text": self._by_text, "examples": self._others,
        }  # fmt: skip
