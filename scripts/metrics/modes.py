"""Whether the fixed mode wrote what the natural mode wrote, up to where that one stopped."""

from scripts.metrics import figures, rounding
from scripts.metrics.figures import Figure
from scripts.metrics.latency import FIXED_OFF
from scripts.metrics.runs import Run, Sample

UNITS = {"fixed_prefix_share": "1"}


def prefix_figures(run: Run) -> dict[str, Figure]:
    """Return the share of fixed-mode prompts whose tokens begin as the natural mode's do.

    Only where rounding turns next to no token: float32, unquantised, one process, no speculation. A tie that it can
    turn alone counts as equal, as long as there are no more of them than it turns; then anything below 1 means that the
    two modes do not run the same computation.
    """
    reason = _reason(run)
    if reason:
        return {"fixed_prefix_share": figures.missing("1", reason)}
    pairs = list(zip(run.samples, run.fixed, strict=False))
    same = sum(_parting(*pair) is None for pair in pairs)
    known = rounding_of(run, len(pairs))
    if known is not None:
        ties = sum(_ties(*pair, known) for pair in pairs)
        same += ties if known.explains(ties) else 0
    return {"fixed_prefix_share": figures.share_figure(same, len(pairs))}


def rounding_of(run: Run, count: int | None = None) -> rounding.Rounding | None:
    """Return what rounding does to the logits of a run's first samples, or of all; None where it was not measured."""
    samples = run.samples[:count]
    return rounding.measured([s.margins for s in samples], [s.margin_shifts for s in samples])


def is_exact(run: Run) -> bool:
    """Say whether greedy decoding must be exact in this run: float32 weights, not quantised."""
    target = run.info["models"].get("target") or {}
    quantization = (run.info.get("settings") or {}).get("quantization")
    return target.get("dtype") == "float32" and quantization in (None, "none")


def _reason(run: Run) -> str | None:
    settings = run.info.get("settings") or {}
    if not run.fixed:
        return FIXED_OFF
    if not is_exact(run):
        return "not compared: rounding differs with the shapes unless the weights are unquantised float32"
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
