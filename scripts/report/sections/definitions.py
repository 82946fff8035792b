"""How to read the figures: what each word of the report means."""

from typing import Any

from scripts.comparison import catalogue
from scripts.report import rouge_words
from scripts.report.section import Section


def definitions(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the ``definitions`` of the figures, and the ``tokenizer`` of this study's ROUGE, in words."""
    return {"definitions": catalogue.terms(), "tokenizer": rouge_words.described(comparison["techniques"])}


SECTION = Section("definitions", "How to read", 170, definitions, within="trust")
