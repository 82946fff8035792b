"""Lossless techniques that write other text below float32: how often, and whether float32 showed them equal.

Rounding to 8 or 11 bits depends on the order of sums, so that a technique that is the same by design takes another
token where two are nearly as likely (Higham, 2002, section 4.2).
"""

from typing import Any

EQUAL = ("identical", "tie")
FLOAT32 = "float32"


def add(rows: list[dict[str, Any]]) -> None:
    """Add to each technique's matches ``lower_precision``; None where its text is its parent's or need not be.

    It has the ``dtype``, whether the weights are ``quantized``, on how many of how many ``prompts`` the tokens are
    ``differing``, at how many of the ``listed`` ones it took the parent's second-best token (``second_best``), and
    ``equal``: the ``technique`` of this study that changes the same of a parent of its own in float32 and wrote that
    parent's tokens, with its audit's ``verdict`` and its ``prompts``; None where there is none.
    """
    for row in rows:
        row["matches"]["lower_precision"] = _found(row, rows) if _differs(row) else None


def add_previous(rows: list[dict[str, Any]], previous: list[Any]) -> None:
    """Fill in ``equal``, where this study has none, from techniques of the same name in a previous study."""
    before = {each.get("name"): each for each in previous if isinstance(each, dict)}
    for row in rows:
        found = row["matches"].get("lower_precision")
        other = before.get(row["name"])
        if found and not found["equal"] and other and _shows(row, other):
            found["equal"] = _equal(other) | {"previous": True}


def _differs(row: dict[str, Any]) -> bool:
    match = row["matches"]
    audit = match.get("audit") or {}
    return bool(row["lossless"]) and audit.get("verdict") == "differs" and not match["exact_expected"]


def _found(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    match = row["matches"]
    same = match["same_tokens"]
    shown = next((other for other in rows if other is not row and _shows(row, other)), None)
    judged = [entry["own_token_is_runner_up"] for entry in match["divergences"]]
    return {
        "dtype": match["dtype"],
        "quantized": (row["settings"] or {}).get("quantization") not in (None, "none"),
        "differing": same["n"] - same["count"],
        "prompts": same["n"],
        "second_best": sum(each is True for each in judged),
        "listed": sum(each is not None for each in judged),
        "equal": None if shown is None else _equal(shown) | {"previous": False},
    }


def _shows(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether another technique changes the same, in float32, and was found to write its parent's tokens."""
    match = other.get("matches")
    audit = match.get("audit") if isinstance(match, dict) else None
    if not isinstance(audit, dict) or other.get("status") != "ok":
        return False
    equal = audit.get("verdict") in EQUAL and match.get("exact_expected") is True and match.get("dtype") == FLOAT32
    return equal and bool(row["difference"]) and other.get("difference") == row["difference"]


def _equal(other: dict[str, Any]) -> dict[str, Any]:
    prompts = (other["matches"].get("same_tokens") or {}).get("n")
    return {"technique": other["name"], "label": other.get("label") or other["name"],
            "verdict": other["matches"]["audit"]["verdict"], "prompts": prompts}  # fmt: skip
