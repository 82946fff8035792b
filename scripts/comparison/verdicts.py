"""Words for changes, said only after a test: Holm's correction over the techniques, and the gate on quality."""

from scripts.comparison import changes
from scripts.metrics.figures import Figure

ALPHA = 0.05
KEPT_PERCENT = 99.0
"""Quality counts as kept from this share of the reference on, as MLPerf Inference has it."""
LENGTH_PERCENT = (-10.0, 10.0)
"""Output length counts as kept within this change, as MLPerf Inference has it."""

SAME = "no measurable difference"
# Change -> the words for a fall and for a rise.
WORDS = {
    "latency_change_percent": ("faster", "slower"),
    "ttft_change_percent": ("faster", "slower"),
    "tpot_change_percent": ("faster", "slower"),
    "throughput_change_percent": ("lower", "higher"),
    "tokens_per_s_change_percent": ("lower", "higher"),
    "output_length_change_percent": ("shorter", "longer"),
} | dict.fromkeys(changes.KEPT, ("lower", "higher"))


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Adjust p-values for how many there are (Holm, 1979); the order of the result is that of the argument."""
    ascending = sorted(p_values, key=lambda name: p_values[name])
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(ascending):
        largest = max(largest, min(1.0, (len(ascending) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def add_verdicts(comparisons: dict[str, dict[str, Figure]]) -> None:
    """Add ``adjusted_p_value`` and ``verdict`` to the changes of all techniques against one kind of reference.

    A timing is called different only if the adjusted p-value is below 0.05 and, with several runs, no run of one lies
    among the runs of the other. Quality also gets ``gate``: ``kept``, ``not kept`` or ``undecided``, a non-inferiority
    test against 99% of the reference.

    Args:
        comparisons: per technique its changes.
    """
    for key, words in WORDS.items():
        tested = {
            name: figures[key] for name, figures in comparisons.items() if figures[key].get("p_value") is not None
        }
        adjusted = holm({name: figure["p_value"] for name, figure in tested.items()})
        for name, figure in tested.items():
            figure["adjusted_p_value"] = adjusted[name]
            figure["verdict"] = _verdict(key, figure, words)
    for figures in comparisons.values():
        for key in changes.KEPT:
            figures[key]["gate"] = gate(figures[key])


def _verdict(key: str, figure: Figure, words: tuple[str, str]) -> str:
    unchanged = 100.0 if key in changes.KEPT else 0.0
    if figure["adjusted_p_value"] >= ALPHA or figure.get("runs_overlap"):
        return SAME
    return words[0] if figure["value"] < unchanged else words[1]


def gate(figure: Figure) -> str | None:
    """Decide whether quality is kept: the whole interval at or above 99%, the whole below it, or neither."""
    if figure["low"] is None:
        return None
    if figure["low"] >= KEPT_PERCENT:
        return "kept"
    return "not kept" if figure["high"] < KEPT_PERCENT else "undecided"
