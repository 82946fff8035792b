"""The lossless audit: whose tokens are the parent's, where they part, and what follows from that."""

import re
from typing import Any

from scripts.comparison import verdicts
from scripts.report import columns, measured, numbers, rows
from scripts.report.section import Section

OWN_NOISE = (
    "Answers are drawn, and a server draws with noise of its own: the audit does not apply to its tokens, and the "
    "quality over all draws is what is compared."
)
AUDITED = {"identical": verdicts.SAME_TEXT, "tie": "equal but for ties", "error": "error: differs"}


def audit(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every technique with a parent, those that must match it first; also those whose figures were withdrawn."""
    techniques, found = comparison["techniques"], []
    labels = {technique["name"]: technique["label"] for technique in techniques}
    for technique in sorted(techniques, key=lambda technique: not technique["lossless"]):
        match = technique["matches"]
        if technique["parent"] is None or (match["reason"] and not technique["lossless"]):
            continue
        row = rows.head(technique) | {
            "parent": labels.get(technique["parent"], technique["parent"]),
            "must": technique["lossless"],
            "why_not": _labelled(match["reason"] or "", technique["parent"], labels),
        }
        if not match["reason"]:
            apart = match.get("noise_apart")
            row |= {
                "tokens": _count(match["same_tokens"]),
                "compared": match["audit"].get("compared", "tokens"),
                "headlines": _count(match["same_headlines"]),
                "verdict": {"text": "does not apply", "tone": ""} if apart else _verdict(match),
                "sentence": " ".join(
                    filter(
                        None,
                        (
                            OWN_NOISE if apart else "",
                            _labelled(match["audit"]["sentence"], technique["parent"], labels),
                            measured.rounding(technique),
                        ),
                    )
                ),
                "dtype": match["dtype"] or "",
                "divergences": [_divergence(entry) for entry in match["divergences"]],
                "bound": _bound(match["audit"]),
                "differing": match["same_tokens"]["n"] - match["same_tokens"]["count"],
            }
        found.append(row)
    return found


def _labelled(sentence: str, parent: str, labels: dict[str, str]) -> str:
    """Put the parent's label where a sentence of the audit has its name; other words that read like it stay."""
    name = re.escape(parent)
    places = (
        rf"(?<=the tokens of ){name}(?=\.)|(?<=the headlines of ){name}(?=;)|(?<=other tokens than ){name}(?=,)"
        rf"|(?<=other headlines than ){name}(?=,)|(?<=; ){name}(?='s two best)"
        rf"|^{name}(?= has | is )"
    )
    return re.sub(places, lambda _: labels.get(parent, parent), sentence)


def _count(figure: dict[str, Any]) -> dict[str, str]:
    low, high = (None if figure[end] is None else 100 * figure[end] for end in ("low", "high"))
    return {
        "text": f"{figure['count']} of {figure['n']}",
        "share": numbers.share(figure["value"]),
        "interval": numbers.percent_interval(low, high, signed=False),
    }


def _verdict(match: dict[str, Any]) -> dict[str, str]:
    """Return the audit's verdict in words; a technique that promises nothing may differ."""
    verdict = match["audit"]["verdict"]
    if verdict == "identical":
        return {"text": AUDITED[verdict], "tone": "good"}
    if match["lossless"] is None:
        return {"text": "may differ", "tone": ""}
    return {"text": AUDITED.get(verdict, verdict), "tone": columns.tone(verdict)}


def _bound(audit: dict[str, Any]) -> str:
    """Say what the gaps of divergences are held against."""
    if audit["gap_bound"] is None:
        return ""
    return (
        f"Another order of float32 sums moves the gap by up to {audit['gap_bound']:.3g} and flips "
        f"{audit['expected_ties']:.2g} of the parent's tokens on average; differences at such ties: {audit['ties']}."
    )


def _divergence(entry: dict[str, Any]) -> dict[str, str]:
    """Return where the tokens of a prompt part; a text that had ended has no token there."""
    own = entry["own_token_is_runner_up"]
    gap = entry["logit_gap"]
    return {
        "sample": entry["id"],
        "prompt": str(entry["prompt"]),
        "position": str(entry["position"] + 1),
        "gap": "not recorded" if gap is None else f"{gap:.3g}",
        "own_gap": "not recorded" if entry.get("own_logit_gap") is None else f"{entry['own_logit_gap']:.3g}",
        "parent": "ended" if entry["parent_token"] is None else str(entry["parent_token"]),
        "own": "ended" if entry["own_token"] is None else str(entry["own_token"]),
        "runner_up": {True: "yes", False: "no", None: "not recorded"}[own],
        "tie": "yes" if entry["tie"] else "no",
    }


SECTION = Section("lossless", "Lossless audit", 130, audit, within="trust")
