"""How far the figures can be trusted: how many techniques are flagged, for what, and whether the answer is."""

from typing import Any

from scripts.report import numbers, rows

# Flag -> what it means for a figure; first those of the machine, then those of the technique itself.
MEANING = {
    "throttled": "The device lowered its clocks: its times are too long.",
    "foreign_gpu": "Another program used the same GPU: times are too long, and memory is not the technique's alone.",
    "foreign_cpu": "Other programs used the processor meanwhile: times may be too long.",
    "steal": "The hypervisor gave the processor to others meanwhile: times may be too long.",
    "spread": "The same work took different times in different processes. Intervals and verdicts of changes count that "
    "in; a single figure's own interval does not.",
    "reference": "Its times are compared in seconds, not in a reference process's units: differences show less.",
    "drift": "The machine itself was slower or faster around one run than around the others, and so was the run.",
    "memory": "Measured memory is not what the shape of the model asks for, or its parts are not all of the process.",
    "not_greedy": "Some tokens are not the most likely ones, though decoding is greedy.",
    "several_changes": "It differs from its parent in more than one facet, so neither one's effect can be told.",
}
NAMED = ("reference", "fastest", "fastest_kept", "smallest")


def summary(comparison: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """Return the verdict as sentences, and a line for each kind of flag with the techniques that have it."""
    techniques = comparison["techniques"]
    ran = rows.ran(techniques)
    flagged = [technique for technique in ran if technique["flags"]]
    return {
        "sentences": [
            _count(len(flagged), len(ran)),
            *_worst(ran),
            *(_for_the_answer(comparison, labels) if flagged else []),
            *_order(comparison["order"]["interleaved"], ran),
        ],
        "kinds": [_kind(kind, techniques) for kind in _kinds(techniques)],
    }


def _count(flagged: int, ran: int) -> str:
    if not ran:
        return "Nothing ran, so there is nothing to trust or to doubt."
    if not flagged:
        return f"No flag: nothing disturbed the runs of the {ran} techniques that ran, as far as could be read."
    return f"{flagged} of the {ran} techniques that ran {'has' if flagged == 1 else 'have'} at least one flag."


def _worst(ran: list[dict[str, Any]]) -> list[str]:
    """Name the technique whose runs lie furthest apart."""
    spreads = [(t["figures"]["latency_s"].get("between_run_percent"), t["label"]) for t in ran]
    known = [entry for entry in spreads if entry[0] is not None]
    if not known:
        return ["How far runs lie apart is not known: that takes two runs of a technique or more."] if ran else []
    value, label = max(known, key=lambda entry: entry[0])
    middle = sorted(entry[0] for entry in known)[len(known) // 2]
    return [
        f"Between runs the mean latency varies most for {label}, by {numbers.fixed(value, 1)}% (relative standard "
        f"deviation); for half of the techniques by {numbers.fixed(middle, 1)}% or less."
    ]


def _for_the_answer(comparison: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Say whether the techniques that the answer names are flagged, and with what."""
    by_name = {technique["name"]: technique for technique in comparison["techniques"]}
    best = ((comparison["ranking"] or {}).get("overall") or [{}])[0].get("technique")
    wanted = [*(comparison["answer"].get(key) for key in NAMED), best]
    named = [by_name[name] for name in dict.fromkeys(wanted) if name in by_name]
    doubted = [
        f"{technique['label']} ({', '.join(flag['text'] for flag in rows.flags(technique))})"
        for technique in named
        if technique["flags"]
    ]
    if not doubted:
        return ["None of the techniques that the answer names is flagged."] if named else []
    return [
        f"Flagged among those that the answer names or measures against: {', '.join(doubted)}. "
        "Trust a small difference between them only if its verdict says so, and repeat the study on a calmer machine "
        "before a decision that hangs on it."
    ]


def _order(interleaved: bool | None, ran: list[dict[str, Any]]) -> list[str]:
    if not ran:
        return []
    return {
        True: ["Runs were interleaved, so slow changes of the machine fall on all techniques alike."],
        False: ["Runs were not interleaved: a change of the machine meanwhile can look like a difference."],
        None: [],
    }[interleaved]


def _kinds(techniques: list[dict[str, Any]]) -> list[str]:
    """Return the kinds of flags there are, in a fixed order."""
    found = {flag["kind"] for technique in techniques for flag in technique["flags"] or []}
    return [kind for kind in MEANING if kind in found] + sorted(found - MEANING.keys())


def _kind(kind: str, techniques: list[dict[str, Any]]) -> dict[str, Any]:
    found = [(t, flag) for t in techniques for flag in t["flags"] or [] if flag["kind"] == kind]
    return {
        "text": rows.FLAGS.get(kind, kind.replace("_", " ")),
        "meaning": MEANING.get(kind, ""),
        "techniques": [{"name": t["name"], "label": t["label"], "message": flag["message"]} for t, flag in found],
    }
