"""Whether a technique wrote the same headlines in both studies."""

from typing import Any

from scripts.comparison.studies import pairing
from scripts.comparison.studies.pairing import Pairing
from scripts.comparison.studies.reading import Study

SAME_TOKENS, SAME_TEXT, CHANGED, UNKNOWN = "same tokens", "same text", "text changed", "not compared"


def output(
    old: Study, new: Study, name: str, digests: tuple[str | None, str | None], prompts: Pairing
) -> dict[str, Any]:
    """Compare what a technique wrote in two studies.

    Args:
        old, new: the studies.
        name: a technique that has figures in both.
        digests: of its tokens over all prompts, None where a file has none.
        prompts: of the two studies.

    Returns:
        ``state``: one of the four words; ``differ`` of ``prompts`` headlines differ, None where they are not known.
    """
    if not prompts.same:
        return {"state": UNKNOWN, "differ": None, "prompts": 0}
    mine, other = (pairing.texts(study, name, prompts.shown) for study in (new, old))
    known = min(len(mine), len(other))
    differ = sum(a != b for a, b in zip(mine, other, strict=False))
    if None not in digests and digests[0] == digests[1]:
        return {"state": SAME_TOKENS, "differ": 0, "prompts": prompts.total}
    if not known:
        state = UNKNOWN if None in digests else CHANGED
        return {"state": state, "differ": None, "prompts": 0}
    # With other tokens and the same text here, a headline that the files do not show, or its end, is another.
    state = CHANGED if differ or None not in digests else SAME_TEXT
    return {"state": state, "differ": differ, "prompts": known}
