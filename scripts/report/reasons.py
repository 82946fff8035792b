"""Why a technique is as fast as it is: its mechanism, the work it saves or adds, and what came of it.

Every clause is a measured or computed figure or follows from the definition of the facet. That a mechanism is on is
shown by the evidence; that it pays is said by the test alone. Where an expected gain did not appear, a cause is named
only where the figures show it.
"""

from typing import Any

from scripts.report import numbers, words
from scripts.report.facet_words import FASTER, NEITHER, SLOWER
from scripts.report.facets import Mechanism, Technique, mechanism
from scripts.report.templates import told

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
        return words.sentence(told("technique", "no_figures", technique=technique))
    parent = next((entry for entry in comparison["techniques"] if entry["name"] == technique["parent"]), None)
    found = mechanism(technique, parent, comparison)
    head = f"{found.text}: {found.work}" if found.work else found.text
    joint = ", " if found.work else ": "
    if parent is None:
        rate = words.value(technique, "throughput_samples_per_s")
        alone = "" if rate is None else f"{joint}{words.amount(rate, [(1.0, 'samples')])} a second"
        return words.sentence(head + alone)
    measured, observed = technique["measured_speedup"], _observed(technique["measured_speedup"])
    outcome = told(
        "technique", "outcome", measured=measured, parent=parent, tested=words.is_tested(measured),
        corrected=words.verdict(measured).removeprefix(words.NO_DIFFERENCE),
    )  # fmt: skip
    if found.expected == NEITHER or observed in (None, found.expected):
        return words.sentence(f"{head}{joint}{outcome}")
    against = _against(technique, parent, found, observed) if found.expected == FASTER else ""
    return words.sentence(f"{head}, but {outcome}{f'; {against}' if against else ''}")


def _observed(measured: dict[str, Any]) -> str | None:
    """Return whether a technique was measured to be faster, slower or neither; None where nothing was tested."""
    if measured["value"] is None or not words.is_tested(measured):
        return None
    return OBSERVED.get(measured.get("verdict") or "", NEITHER)


def _against(technique: Technique, parent: dict[str, Any], found: Mechanism, observed: str) -> str:
    """Return what the figures show to stand against an expected gain; empty where they show nothing."""
    longer = words.change(technique, "output_length_change_percent")
    if longer.get("verdict") == "longer":
        return told("technique", "longer", percent=numbers.percent(longer["value"]).lstrip("+"))
    if found.facet and (own := found.facet.say("contrary", measured=observed)):
        return own
    host, before = (words.value(entry, "host_bound_share") for entry in (technique, parent))
    if host is not None and host >= BUSY_HOST:
        return told("technique", "host", host=host, before=before)
    readings = (words.value(technique, key) for key in ("mbu_datasheet", "mbu_measured"))
    mbu = next((reading for reading in readings if reading is not None), None)
    return told("technique", "bandwidth", mbu=mbu) if mbu is not None and mbu < LOW_MBU else ""
