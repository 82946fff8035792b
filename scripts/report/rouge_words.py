"""The tokenizer by which ROUGE was computed, in words."""

from typing import Any

from scripts.metrics.tokenizer import BEYOND_ASCII, ROUGE
from scripts.report.templates import told

KNOWN = (ROUGE, "unicode")


def described(techniques: list[dict[str, Any]]) -> str:
    """Return which tokenizer was used and what it leaves out; nothing where no text was scored."""
    name = _chosen(techniques).get("name")
    return " ".join(filter(None, (told("tokenizer", name), unseen_letters(techniques)))) if name in KNOWN else ""


def unseen_letters(techniques: list[dict[str, Any]]) -> str:
    """Return a sentence where the tokenizer leaves out letters that the references have; else nothing."""
    chosen = _chosen(techniques)
    share = chosen.get("share_beyond_ascii") or 0.0
    seen = chosen.get("name") != ROUGE or share < BEYOND_ASCII
    return "" if seen else told("tokenizer", "unseen", share=share)


def _chosen(techniques: list[dict[str, Any]]) -> dict[str, Any]:
    return next((found for each in techniques if (found := each.get("text_tokenizer"))), {})
