"""Changes of a technique against another over the same prompts, with intervals and p-values.

Signs: ``*_change_percent`` is technique / reference - 1, so a negative latency change is faster and a positive
throughput change is more work done. ``*_kept_percent`` is technique / reference, so 100 is unchanged.
``reference_nll_change`` is technique - reference in nats a token, so negative is better.
"""

from typing import Any

import numpy as np

from scripts.comparison.columns import FIXED, NATURAL, Columns, batches_of
from scripts.comparison.two_levels import FEW_PROMPTS, PROMPTS_ONLY, Quantity, percent_figure, ratio
from scripts.metrics import figures, registry, resampling
from scripts.metrics.entry import LIKELIHOOD, PROMPTS, READING, TIMING, Entry
from scripts.metrics.figures import Figure

Content = dict[str, Any]

LATENCY = "latency_change_percent"
TOKEN_LENGTH = "output_length_change_percent"  # noqa: S105
NLL = "reference_nll_change"
OF_A_SERVER = "the server's memory is all that its processes hold, the other's what a technique adds to its process"
UNMEASURED = "not measured: random weights"


def changes(ours: Content, theirs: Content, columns: Columns) -> dict[str, Figure]:
    """Return every change of a technique against another; both must have status ok.

    Args:
        ours: metrics of the technique.
        theirs: metrics of what it is compared with.
        columns: of both, at least.
    """
    result = {}
    one_by_one = all((content.get("batch_size") or 1) == 1 for content in (ours, theirs))
    for key, entry in registry.changes().items():
        result[key] = _HOW[entry.change.how](entry, ours, theirs, columns)
        # At batch size 1 samples/s is 1 / latency: one test and one verdict.
        if entry.change.follows and one_by_one:
            result[key]["follows"] = entry.change.follows
    return result


def timing_quantities(key: str, contents: list[Content], columns: Columns) -> list[Quantity] | None:
    """Return the timing that a change is of, for several techniques over the same prompts; None where one lacks it.

    Where all of them took turns with one reference, their times are in units of its own, so that drift of the machine
    cancels in their ratio. The prompts of a batch share its time, so where there are batches whole ones are resampled.
    """
    entry = registry.changes()[key]
    mode = FIXED if entry.change.fixed else NATURAL
    names = [content["technique"] for content in contents]
    columns = columns.relative(names) or columns
    if not columns.comparable(names, mode):
        return None
    batches = batches_of(contents, mode)
    return [columns.timing(name, entry, batches) for name in names]


def _timing(entry: Entry, ours: Content, theirs: Content, columns: Columns) -> Figure:
    quantities = timing_quantities(entry.change.key, [ours, theirs], columns)
    if quantities is None:
        return figures.missing("%", "requests of a fixed length were not measured for both, over the same prompts")
    change = percent_figure(ratio(quantities[:1], quantities[1:]), offset=100.0)
    if columns.relative([ours["technique"], theirs["technique"]]):
        beside = f"both in units of {columns.reference}'s time, which took turns with them"
        change["note"] = "; ".join(filter(None, (change["note"], beside)))
    return change


def _prompts(entry: Entry, ours: Content, theirs: Content, columns: Columns) -> Figure:
    names, change = [ours["technique"], theirs["technique"]], entry.change
    if not all(columns.has(name, NATURAL, change.numerator) for name in names):
        return figures.missing("%", ours.get("unscored_reason") or theirs.get("unscored_reason") or UNMEASURED)
    mine, reference = (columns.quantity(name, change.numerator, change.denominator) for name in names)
    return percent_figure(ratio([mine], [reference]), offset=0.0 if change.kept else 100.0)


def _reading(entry: Entry, ours: Content, theirs: Content, columns: Columns) -> Figure:
    kinds = {content.get("memory_of_server") or False for content in (ours, theirs)}
    ours, theirs = (content["figures"][entry.key] for content in (ours, theirs))
    if ours["value"] is None or not theirs["value"]:
        return figures.missing("%", "not read for one of the two")
    value = 100 * (ours["value"] / theirs["value"] - 1)
    note = figures.ONE_READING if len(kinds) == 1 else f"{figures.ONE_READING}; {OF_A_SERVER}"
    return figures.figure(value, "%", min(ours["n"], theirs["n"]), note=note)


def _likelihood(entry: Entry, ours: Content, theirs: Content, columns: Columns) -> Figure:
    """Return the difference of the reference headlines' negative log-likelihood, paired by prompt."""
    names, unit = [ours["technique"], theirs["technique"]], entry.unit
    numerator, denominator = entry.change.numerator, entry.change.denominator
    measured = all(columns.has(name, NATURAL, numerator) for name in names)
    tokens = [columns.columns[name, NATURAL][denominator] for name in names] if measured else []
    if not measured or not all(counts.any() for counts in tokens):
        return figures.missing(unit, "the reference headlines' likelihood was not measured for both")
    if not np.array_equal(*tokens):
        return figures.missing(unit, "the two split the reference headlines into other tokens")
    mine, reference = (columns.quantity(name, numerator, denominator) for name in names)
    value = mine.value - reference.value
    if mine.spread is None:
        note = figures.few_note(mine.prompts)
        return figures.figure(value, unit, mine.prompts, note=note, p_value=None, verdict=FEW_PROMPTS)
    spread = mine.spread - reference.spread
    bounds = resampling.percentile_interval(spread)
    p_value = resampling.two_sided_p(spread, mine.prompts) if bounds[0] is not None else None
    return figures.figure(value, unit, mine.prompts, bounds, interval=PROMPTS_ONLY, p_value=p_value)


_HOW = {
    TIMING: _timing,
    PROMPTS: _prompts,
    READING: _reading,
    LIKELIHOOD: _likelihood,
}
