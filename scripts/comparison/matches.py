"""Compares a technique's tokens with its parent's: share of equal outputs, first divergences, lossless audit."""

from itertools import zip_longest
from typing import Any

from scripts.metrics import figures
from scripts.metrics.entry import CHANGES, Entry, Place
from scripts.metrics.rounding import Rounding, is_exact, measured

SHOWN = 20
SAME_HEADLINES = Entry(
    "same_headlines", "1", "Same as parent", "Share of headlines that are the very text that the parent wrote.",
    shown="percent", decimals=1, table=Place("Headlines", 3),
)  # fmt: skip
AUDIT = Entry(
    "lossless_audit", "", "Lossless audit",
    "Whether a technique wrote its parent's tokens, and where it did not, whether rounding explains that.",
    kind="word", csv="lossless_audit", table=Place(CHANGES),
)  # fmt: skip
KEYS = (
    "same_tokens", "same_headlines", "divergences", "first_divergence", "lossless", "dtype", "exact_expected", "audit",
    "noise_apart",
)  # fmt: skip


def divergence(ours: list[int], theirs: list[int]) -> int | None:
    """Return the position of the first token that differs (a missing one differs), or None when all are equal."""
    pairs = zip_longest(ours, theirs)
    return next((position for position, (mine, other) in enumerate(pairs) if mine != other), None)


def same_text(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether a technique wrote what another did: the same tokens and the same headline on every prompt, in every run.

    This alone lets the report say so; an equal score is no equal text.

    Args:
        ours, theirs: metrics of the two, status ok, over the same prompts.
    """
    if ours.get("tokens_differ_between_runs") or theirs.get("tokens_differ_between_runs"):
        return False
    # A server may give no tokens, and those that its text is parted into need not be the ones that it chose.
    if _by_text(ours, theirs):
        written = [
            [_texts(samples), *map(_texts, _further(samples))] for samples in (ours["samples"], theirs["samples"])
        ]
        return written[0] == written[1]
    columns = ("token_ids", "new_tokens", "headline")
    same = all(ours["samples"][column] == theirs["samples"][column] for column in columns)
    return same and [draw["token_ids"] for draw in _further(ours["samples"])] == [
        draw["token_ids"] for draw in _further(theirs["samples"])
    ]


def matches(ours: dict[str, Any], theirs: dict[str, Any], lossless: bool) -> dict[str, Any]:
    """Compare the outputs of a technique with those of its parent, prompt by prompt.

    Args:
        ours: metrics of the technique, status ok.
        theirs: metrics of its parent, status ok.
        lossless: whether the technique must give the parent's tokens.

    Returns:
        ``same_tokens`` and ``same_headlines`` (shares with their counts); ``divergences``: the first token that differs
        of up to 20 prompts; ``first_divergence``: the first of them or None; for a lossless technique ``lossless``:
        whether every prompt has the parent's tokens; ``noise_apart``: whether one of them is drawn by a server's own
        noise, so that equal tokens can't be expected; ``audit``: what follows from that, as ``_audit`` says.
    """
    by_text = _by_text(ours, theirs)
    mine, other = (_passes(each["samples"]) for each in (ours, theirs))
    pairs = list(zip(mine, other, strict=False))
    places = [_positions(*pair, by_text=by_text) for pair in pairs]  # by draw and prompt
    # A prompt is the unit: it is the same where all of its draws are, and parts in the first draw that is not.
    parted = [
        next((draw for draw, at in enumerate(each) if at is not None), None) for each in zip(*places, strict=True)
    ]
    positions = [None if draw is None else places[draw][index] for index, draw in enumerate(parted)]
    headlines = [all(a["headline"][index] == b["headline"][index] for a, b in pairs) for index in range(len(positions))]
    rounding = measured(
        *([row for draw in other for row in draw.get(key) or []] for key in ("margins", "margin_shifts"))
    )
    found = [
        _divergence(*pairs[draw], index, places[draw][index], rounding)
        for index, draw in enumerate(parted)
        if draw is not None
    ]
    exact = is_exact(ours)
    return {
        "against": theirs["technique"],
        "reason": None,
        "same_tokens": figures.share_figure(positions.count(None), len(positions)),
        "same_headlines": figures.share_figure(sum(headlines), len(headlines)),
        "divergences": found[:SHOWN],
        "first_divergence": found[0] if found else None,
        "lossless": not found if lossless else None,
        "dtype": _dtype(ours),
        "exact_expected": exact,
        "noise_apart": any(_own_noise(each) for each in (ours, theirs)),
        "audit": _audit(found, len(positions), theirs["technique"], rounding, must=lossless and exact, by_text=by_text),
    }


def _further(samples: dict[str, Any]) -> list[dict[str, Any]]:
    """What was written in the draws behind the first."""
    return samples.get("further_draws") or []


def _passes(samples: dict[str, Any]) -> list[dict[str, Any]]:
    """What was written, by draw."""
    return [samples, *({"id": samples["id"]} | draw for draw in _further(samples))]


def _positions(mine: dict[str, Any], other: dict[str, Any], *, by_text: bool) -> list[int | None]:
    """Where each prompt's answers part in one draw; None where they do not."""
    positions = [divergence(a, b) for a, b in zip(mine["token_ids"], other["token_ids"], strict=True)]
    if not by_text:
        return positions
    alike = [_whole(a) == _whole(b) for a, b in zip(_texts(mine), _texts(other), strict=True)]
    return [None if same else at or 0 for same, at in zip(alike, positions, strict=True)]


def _own_noise(metrics: dict[str, Any]) -> bool:
    """Whether a server drew the answers with noise of its own, so that their tokens can be no other technique's."""
    return (metrics.get("generation") or {}).get("noise") == "the server's own"


def _texts(samples: dict[str, Any]) -> list[str]:
    """What was answered to each prompt, before a headline was read from it."""
    return samples.get("answer") or samples["headline"]


def _whole(text: str) -> str:
    """A text without the unfinished character at its end, which a server that streams keeps back."""
    return text.rstrip("\ufffd").rstrip()


def _by_text(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Whether headlines are compared, since one of the two has no tokens but those of its text."""
    return "text" in (ours.get("tokens_from"), theirs.get("tokens_from"))


def no_matches(against: str | None, reason: str) -> dict[str, Any]:
    """Return the same shape without values, for the given reason."""
    return {"against": against, "reason": reason} | dict.fromkeys(KEYS)


def _divergence(
    mine: dict[str, Any], other: dict[str, Any], index: int, position: int, rounding: Rounding | None
) -> dict[str, Any]:
    """Describe where a prompt's tokens part; up to there they are the same, so the parent's logits there are of both.

    ``logit_gap`` is the logit of the parent's token minus the best other one, None where it was not recorded or the
    parent had ended; ``own_logit_gap`` is the technique's own, as a server tells it too; ``own_token_is_runner_up`` is
    None likewise. ``tie``: the technique's token is that other one, and
    rounding alone can close the gap.
    """
    own, parent = (_at(samples["token_ids"][index], position) for samples in (mine, other))
    runner_up = _at(_row(other.get("runners_up"), index), position)
    gap = _at(_row(other.get("margins"), index), position)
    second = None if runner_up is None or own is None else own == runner_up
    return {
        "id": mine["id"][index],
        "prompt": index + 1,
        "position": position,
        "logit_gap": gap,
        "parent_token": parent,
        "own_token": own,
        "own_logit_gap": _at(_row(mine.get("margins"), index), position),
        "own_token_is_runner_up": second,
        "tie": bool(second) and rounding is not None and rounding.ties(gap),
    }


def _row(column: list[Any] | None, index: int) -> list[Any]:
    return (column[index] if column else None) or []


def _at(values: list[Any], position: int) -> Any:
    return values[position] if position < len(values) else None


def _audit(
    found: list[dict[str, Any]],
    prompts: int,
    parent: str,
    rounding: Rounding | None,
    *,
    must: bool,
    by_text: bool = False,
) -> dict[str, Any]:
    """Judge the divergences.

    Where the tokens must be the parent's, each has to be a tie that rounding alone can flip, and there may be no more
    of them than rounding flips.

    Returns:
        ``compared``: ``tokens``, or ``headlines`` where a server gave no tokens; ``verdict``: ``identical``, ``tie``
        (differs at such ties alone), ``error``, or ``differs`` where the tokens need not be the parent's; ``sentence``;
        ``ties``: divergences at ties; ``gap_bound``: how far rounding can move a gap; ``expected_ties``: how many
        tokens it flips on average; both None where the parent measured no rounding.
    """
    ties = sum(entry["tie"] for entry in found)
    expected = None if rounding is None else sum(rounding.flip_chances())
    what = "headlines" if by_text else "tokens"
    audit = {"compared": what, "ties": ties, "gap_bound": rounding and rounding.bound, "expected_ties": expected}
    if not found:
        why = "; a server gave no tokens, so texts were compared" if by_text else ""
        sentence = f"All {prompts} prompts have the {what} of {parent}{why}."
        return {"verdict": "identical", "sentence": sentence, **audit}
    differ = _differ(found, prompts, parent, what)
    if not must:
        return {"verdict": "differs", "sentence": f"{differ}.", **audit}
    if rounding is None:
        tail = "how far rounding moves its logits was not measured, so no difference is accepted"
        return {"verdict": "error", "sentence": f"{differ}; {tail}.", **audit}
    moves = f"another order of float32 sums moves that gap by up to {rounding.bound:.2g}"
    if ties < len(found):
        which = "none of them is" if not ties else f"only {ties} of them are"
        sentence = f"{differ}; {moves}, and {which} such a tie with the second-best token chosen."
        return {"verdict": "error", "sentence": sentence, **audit}
    if not rounding.explains(ties):
        sentence = f"{differ}; {moves}, but that flips {expected:.2g} tokens on average, not {ties}."
        return {"verdict": "error", "sentence": sentence, **audit}
    sentence = f"{differ}; accepted, since {moves} and the second-best token was chosen each time."
    return {"verdict": "tie", "sentence": sentence, **audit}


def _differ(found: list[dict[str, Any]], prompts: int, parent: str, what: str) -> str:
    """Say how many prompts differ, where first, and how near the parent's two best logits are."""
    first = found[0]
    known = [abs(entry["logit_gap"]) for entry in found if entry["logit_gap"] is not None]
    near = ""
    if known:
        gaps = f"{min(known):.2g}" if min(known) == max(known) else f"{min(known):.2g} to {max(known):.2g}"
        near = f"; {parent}'s two best logits are {gaps} apart there"
    own = [abs(entry["own_logit_gap"]) for entry in found if entry["own_logit_gap"] is not None]
    if own and not known:
        near = f"; its own two best logits are up to {max(own):.2g} apart there"
    where = f"first at token {first['position'] + 1} of prompt {first['prompt']}, sample {first['id']}"
    return f"{len(found)} of {prompts} prompts have other {what} than {parent}, {where}{near}"


def _dtype(metrics: dict[str, Any]) -> str | None:
    return ((metrics.get("models") or {}).get("target") or {}).get("dtype")
