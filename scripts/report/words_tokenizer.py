"""The tokenizer by which ROUGE was computed, in words."""

from typing import Any

from scripts.metrics.tokenizer import BEYOND_ASCII, ROUGE
from scripts.report import numbers

KNOWN = {
    ROUGE: "Words are those of rouge_score's tokenizer: the letters a to z and digits only, with stemming for English.",
    "unicode": (
        "Words are runs of letters and digits of any script, and single characters where a script has no spaces "
        "(Chinese, Japanese, Thai and others), without stemming."
    ),
}


def described(techniques: list[dict[str, Any]]) -> str:
    """Return which tokenizer was used and what it leaves out; nothing where no text was scored."""
    chosen = _chosen(techniques)
    told = KNOWN.get(chosen.get("name"), "")
    return f"{told} {unseen}" if told and (unseen := unseen_letters(techniques)) else told


def unseen_letters(techniques: list[dict[str, Any]]) -> str:
    """Return a sentence where the tokenizer leaves out letters that the references have; else nothing."""
    chosen = _chosen(techniques)
    share = chosen.get("share_beyond_ascii") or 0.0
    if chosen.get("name") != ROUGE or share < BEYOND_ASCII:
        return ""
    return (
        f"ROUGE leaves out {numbers.share(share)} of the references' letters, which are none of a to z: set "
        "quality.tokenizer to unicode or auto."
    )


def _chosen(techniques: list[dict[str, Any]]) -> dict[str, Any]:
    return next((found for each in techniques if (found := each.get("text_tokenizer"))), {})
