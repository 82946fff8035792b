"""How often a technique says exactly what its parent says, where it first says something else, and whether it may."""

from itertools import zip_longest
from typing import Any

from scripts.metrics import figures

TIE = 1e-3
"""Logits this close can swap places through rounding alone."""
SHOWN = 20
KEYS = (
    "same_tokens",
    "same_headlines",
    "divergences",
    "first_divergence",
    "lossless",
    "dtype",
    "exact_expected",
    "audit",
)


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
        ``same_tokens`` and ``same_headlines`` (shares with their counts); ``divergences``: the first token that differs
        of up to 20 prompts; ``first_divergence``: the first of them or None; for a lossless technique ``lossless``:
        whether every prompt has the parent's tokens; ``audit``: what follows from that, ``verdict`` (``identical``,
        ``tie``, ``differs`` or ``error``) and ``sentence``.
    """
    mine, other = ours["samples"], theirs["samples"]
    positions = [divergence(a, b) for a, b in zip(mine["token_ids"], other["token_ids"], strict=True)]
    headlines = [a == b for a, b in zip(mine["headline"], other["headline"], strict=True)]
    found = [_divergence(mine, other, index, at) for index, at in enumerate(positions) if at is not None]
    dtype = _dtype(ours)
    # Rounding depends on shapes below float32, so that equal methods can choose other tokens there.
    exact = dtype == "float32" and (ours.get("settings") or {}).get("quantization") in (None, "none")
    return {
        "against": theirs["technique"],
        "reason": None,
        "same_tokens": figures.share_figure(positions.count(None), len(positions)),
        "same_headlines": figures.share_figure(sum(headlines), len(headlines)),
        "divergences": found[:SHOWN],
        "first_divergence": found[0] if found else None,
        "lossless": not found if lossless else None,
        "dtype": dtype,
        "exact_expected": exact,
        "audit": _audit(found, len(positions), theirs["technique"], lossless and exact, dtype),
    }


def no_matches(against: str | None, reason: str) -> dict[str, Any]:
    """Return the same shape without values, for the given reason."""
    return {"against": against, "reason": reason} | dict.fromkeys(KEYS)


def _divergence(mine: dict[str, Any], other: dict[str, Any], index: int, position: int) -> dict[str, Any]:
    """Describe where a prompt's tokens part; up to there they are the same, so the parent's logits there are of both.

    ``logit_gap`` is the parent's best logit minus its second-best, None where it was not recorded or the parent had
    ended; ``own_token_is_runner_up`` is None likewise.
    """
    own, parent = (_at(samples["token_ids"][index], position) for samples in (mine, other))
    runner_up = _at(_row(other.get("runners_up"), index), position)
    return {
        "id": mine["id"][index],
        "position": position,
        "logit_gap": _at(_row(other.get("margins"), index), position),
        "parent_token": parent,
        "own_token": own,
        "own_token_is_runner_up": None if runner_up is None or own is None else own == runner_up,
    }


def _row(column: list[Any] | None, index: int) -> list[Any]:
    return (column[index] if column else None) or []


def _at(values: list[Any], position: int) -> Any:
    return values[position] if position < len(values) else None


def _audit(found: list[dict[str, Any]], prompts: int, parent: str, must: bool, dtype: str | None) -> dict[str, str]:
    """Judge the divergences; where the tokens must be the parent's, any is an error, a rounding tie too."""
    if not found:
        return {"verdict": "identical", "sentence": f"All {prompts} prompts have the tokens of {parent}."}
    first, gaps = found[0], [entry["logit_gap"] for entry in found]
    tied = all(gap is not None and gap < TIE for gap in gaps)
    known = [gap for gap in gaps if gap is not None]
    near = ""
    if known:
        near = f"; {parent}'s two best logits are {min(known):.2g} to {max(known):.2g} apart there"
    where = f"first at token {first['position'] + 1} of sample {first['id']}"
    differ = f"{len(found)} of {prompts} prompts have other tokens than {parent}, {where}{near}"
    if not must:
        return {"verdict": "differs", "sentence": f"{differ}."}
    rule = f"in {dtype} a lossless technique must give exactly its parent's tokens"
    if tied:
        return {"verdict": "tie", "sentence": f"{differ}, a tie that rounding decides; {rule}."}
    return {"verdict": "error", "sentence": f"{differ}; {rule}."}


def _dtype(metrics: dict[str, Any]) -> str | None:
    return ((metrics.get("models") or {}).get("target") or {}).get("dtype")
