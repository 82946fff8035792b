"""The fixed mode: speed where every request has the same number of new tokens, and whether it wrote the same text.

It wrote the same where its tokens begin as the natural mode's do, up to where that one stopped.
"""

from scripts.metrics import figures, rounding
from scripts.metrics.entry import FASTER, MORE, TIMING, Change, Entry, Place, Term, missing
from scripts.metrics.families import latency, throughput
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import Run, Sample

ORDER = 70
OFF = "the fixed mode was off"
FIXED = Term(
    "Fixed length",
    "The first prompts once more, each with exactly the same number of new tokens, so that nothing about where a model "
    "stops affects its speed.",
)
TIMES = (
    Entry(
        "fixed_latency_s", "s", "Latency, fixed length", FIXED, "low",
        csv="fixed_latency_mean_s", bounds=True, spread=True, table=Place("Fixed length"),
        change=Change("fixed_latency_change_percent", TIMING, "latency_s", fixed=True, family="speed", words=FASTER,
                      csv=True, verdict="fixed_latency_verdict"),
    ),
    Entry("fixed_latency_p50_s", "s", "Median latency, fixed length", FIXED, "low"),
    Entry(
        "fixed_ttft_s", "s", "TTFT, fixed length", FIXED, "low",
        change=Change("fixed_ttft_change_percent", TIMING, "ttft_s", "ttft_s known", fixed=True, family="ttft",
                      after="speed", words=FASTER),
    ),
    Entry(
        "fixed_tpot_s", "s", "TPOT, fixed length", FIXED, "low", csv="fixed_tpot_s", table=Place("Fixed length"),
        change=Change("fixed_tpot_change_percent", TIMING, "tpot_s", "tpot_s known", fixed=True, family="tpot",
                      after="speed", words=FASTER),
    ),
    Entry("fixed_inter_token_latency_s", "s", "Inter-token latency, fixed length", FIXED, "low"),
    Entry(
        "fixed_throughput_samples_per_s", "samples/s", "Samples/s, fixed length", FIXED, "high", shown="plain",
        csv="fixed_throughput_samples_per_s",
        change=Change("fixed_throughput_change_percent", TIMING, None, "busy_s", fixed=True, family="speed", words=MORE,
                      follows="fixed_latency_change_percent"),
    ),
    Entry("fixed_throughput_tokens_per_s", "tokens/s", "Tokens/s, fixed length", FIXED, "high", shown="plain"),
)  # fmt: skip
PREFIX = "fixed_prefix_share"
FIGURES = (
    *TIMES,
    Entry(PREFIX, "1", "Same prefix", "Share of the fixed mode's prompts whose tokens begin as the natural mode's do, "
          "where rounding flips next to no token.", "high", shown="percent"),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the figures of the fixed mode, without values where it was off."""
    if not recorded.first.fixed:
        return missing(FIGURES, OFF)
    runs, batch_size = recorded.runs, recorded.batch_size
    found = latency.mode_figures(runs, batch_size, fixed=True) | throughput.mode_figures(runs, batch_size, fixed=True)
    times = {entry.key: found[entry.key.removeprefix("fixed_")] for entry in TIMES}
    return times | {PREFIX: _prefix(recorded.first)}


def _prefix(run: Run) -> Figure:
    """Return the share of fixed-mode prompts whose tokens begin as the natural mode's do.

    Only where rounding flips next to no token: float32, unquantised, one process, no speculation. A tie that it can
    flip alone counts as equal, as long as there are no more of them than it flips; then anything below 1 means that the
    two modes do not run the same computation.
    """
    reason = _reason(run)
    if reason:
        return figures.missing("1", reason)
    pairs = list(zip(run.samples, run.fixed, strict=False))
    same = sum(_parting(*pair) is None for pair in pairs)
    known = rounding.of_run(run, len(pairs))
    if known is not None:
        ties = sum(_ties(*pair, known) for pair in pairs)
        same += ties if known.explains(ties) else 0
    return figures.share_figure(same, len(pairs))


def _reason(run: Run) -> str | None:
    settings = run.settings
    if not rounding.is_exact(run.info):
        return "not compared: rounding differs with the shapes unless weights and KV cache are unquantised float32"
    if settings.get("speculation") not in (None, "none"):
        return "not compared: a technique that speculates"
    if (run.info.get("processes") or 1) > 1:
        return "not compared: several processes"
    return None


def _parting(natural: Sample, fixed: Sample) -> int | None:
    """Where the tokens first differ up to the shorter end, leaving out the token that stopped the natural mode."""
    ended = natural.stop_reason != "length"
    ours = natural.token_ids[:-1] if ended else natural.token_ids
    pairs = enumerate(zip(ours, fixed.token_ids, strict=False))
    return next((position for position, (own, other) in pairs if own != other), None)


def _ties(natural: Sample, fixed: Sample, known: rounding.Rounding) -> bool:
    """Whether the fixed mode first differs at a tie, where it took the second-best token."""
    position = _parting(natural, fixed)
    if position is None or natural.margins is None or natural.runners_up is None:
        return False
    return fixed.token_ids[position] == natural.runners_up[position] and known.ties(natural.margins[position])
