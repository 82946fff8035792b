"""How often a technique says exactly what its parent says, and where it first says something else."""

from itertools import zip_longest
from typing import Any

from scripts.metrics import figures


def divergence(ours: list[int], theirs: list[int]) -> int | None:
    """Return the position of the first token that differs (a missing one differs), or None when all are equal."""
    pairs = zip_longest(ours, theirs)
    return next((position for position, (mine, other) in enumerate(pairs) if mine != other), None)


def matches(ours: dict[str, Any], theirs: dict[str, Any], lossless: bool) -> dict[str, Any]:
    """Compare the outputs of a technique with those of its parent, prompt by prompt.

    Args:
        ours: metrics of the technique, status ok.
        theirs: metrics of its parent, status ok.
        lossless: whether the technique must give the parent's tokens.

    Returns:
        ``same_tokens`` and ``same_headlines`` (shares with their counts), ``first_divergence`` (the first prompt that
        differs, its id and token position from 0, or None) and, for a lossless technique, ``lossless``: whether every
        prompt has the parent's tokens.
    """
    mine, other = ours["samples"], theirs["samples"]
    positions = [divergence(a, b) for a, b in zip(mine["token_ids"], other["token_ids"], strict=True)]
    headlines = [a == b for a, b in zip(mine["headline"], other["headline"], strict=True)]
    first = next((index for index, position in enumerate(positions) if position is not None), None)
    return {
        "against": theirs["technique"],
        "reason": None,
        "same_tokens": figures.share_figure(positions.count(None), len(positions)),
        "same_headlines": figures.share_figure(sum(headlines), len(headlines)),
        "first_divergence": None if first is None else {"id": mine["id"][first], "position": positions[first]},
        "lossless": first is None if lossless else None,
        "dtype": _dtype(ours),
        # Rounding depends on shapes below float32, so that equal methods can choose other tokens there.
        "exact_expected": _dtype(ours) == "float32" and not (ours.get("settings") or {}).get("quantization"),
    }


def _dtype(metrics: dict[str, Any]) -> str | None:
    return ((metrics.get("models") or {}).get("target") or {}).get("dtype")


def no_matches(against: str | None, reason: str) -> dict[str, Any]:
    """Return the same shape without values, for the given reason."""
    keys = ("same_tokens", "same_headlines", "first_divergence", "lossless", "dtype", "exact_expected")
    return {"against": against, "reason": reason} | dict.fromkeys(keys)
