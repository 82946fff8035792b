"""Why a technique is as fast as it is: its mechanism, the work it saves or adds, and what came of it.

Every clause is a measured or computed figure or follows from the definition of the facet. That a mechanism is on is
shown by the evidence; that it pays is said by the test alone. Where an expected gain did not appear, a cause is named
only where the figures show it.
"""

from typing import Any

from scripts.report import numbers, words
from scripts.report.mechanisms import FASTER, NEITHER, SLOWER, Technique, mechanism

OBSERVED = {"higher": FASTER, "lower": SLOWER}
LOW_MBU = 0.5
BUSY_HOST = 0.3


def why_sentence(technique: Technique, comparison: dict[str, Any]) -> str:
    """Return why a technique is as fast as it is, in one sentence.

    Args:
        technique: one of the comparison's techniques.
        comparison: content of comparison.json, its texts inert.
    """
    if technique["status"] != "ok":
        return words.sentence(f"It has no figures: {technique['reason'] or 'no reason was recorded'}")
    known = {entry["name"]: entry for entry in comparison["techniques"]}
    parent = known.get(technique["parent"])
    found = mechanism(technique, parent, comparison)
    head = f"{found.text}: {found.work}" if found.work else found.text
    if parent is None:
        return words.sentence(head + _alone(technique, ": " if not found.work else ", "))
    outcome, observed = _outcome(technique, parent)
    contrary = found.expected != NEITHER and observed is not None and observed != found.expected
    joint = ", but " if contrary else ", " if found.work else ": "
    bound = _bound(technique, parent) if found.expected == FASTER and contrary else ""
    return words.sentence(f"{head}{joint}{outcome}{f'; {bound}' if bound else ''}")


def _alone(technique: Technique, joint: str) -> str:
    """Return the speed of a technique without a parent."""
    figure = technique["figures"]["throughput_samples_per_s"]
    if figure["value"] is None:
        return ""
    return f"{joint}{words.amount(figure['value'], [(1.0, 'samples')])} a second"


def _outcome(technique: Technique, parent: dict[str, Any]) -> tuple[str, int | None]:
    """Return what was measured in words, and whether it is faster, slower or neither; None where nothing was tested."""
    measured = technique["measured_speedup"]
    label, verdict = parent["label"], measured.get("verdict")
    if measured["value"] is None:
        return f"its speed against {label} is not known ({measured['note'] or 'not compared'})", None
    share = words.times(measured["value"])
    if verdict in OBSERVED:
        return f"measured {share} the samples a second of {label}", OBSERVED[verdict]
    if not words.is_tested(measured):
        return f"measured {share} the samples a second of {label}, which was {verdict or 'not tested'}", None
    corrected = words.verdict(measured).removeprefix(words.NO_DIFFERENCE)
    return f"no measurable difference in samples a second from {label}{corrected} ({share})", NEITHER


def _bound(technique: Technique, parent: dict[str, Any]) -> str:
    """Return what the figures show to stand against an expected gain; empty where they show nothing."""
    host, others = words.value(technique, "host_bound_share"), words.value(parent, "host_bound_share")
    mbu = words.value(technique, "mbu_datasheet")
    mbu = words.value(technique, "mbu_measured") if mbu is None else mbu
    slower = OBSERVED.get(technique["measured_speedup"].get("verdict") or "") == SLOWER
    longer = words.change(technique, "output_length_change_percent").get("verdict") == "longer"
    if longer:
        change = words.change(technique, "output_length_change_percent")["value"]
        return f"its headlines are {numbers.percent(change).lstrip('+')} longer"
    first = words.change(technique, "ttft_change_percent")
    if "speculation" in technique["difference"] and first.get("verdict") == "slower":
        return f"its first token takes {words.times(first['ratio'])} as long"
    if "quantization" in technique["difference"] and slower:
        return "unpacking and multiplying such weights costs more here than reading fewer bytes saves"
    if host is not None and host >= BUSY_HOST:
        beside = f", against {numbers.share(others)}" if others is not None and host > others else ""
        return f"{numbers.share(host)} of its time passes outside of operators and kernels{beside}"
    if mbu is not None and mbu < LOW_MBU:
        return f"its bytes move at {numbers.share(mbu)} of the memory bandwidth, so bandwidth is not what bounds it"
    return ""
