"""Whether the fixed mode wrote what the natural mode wrote, up to where that one stopped."""

from scripts.metrics import figures
from scripts.metrics.figures import Figure
from scripts.metrics.latency import FIXED_OFF
from scripts.metrics.runs import Run, Sample

UNITS = {"fixed_prefix_share": "1"}


def prefix_figures(run: Run) -> dict[str, Figure]:
    """Return the share of fixed-mode prompts whose tokens begin as the natural mode's do.

    Only where rounding can't turn a token: float32, unquantised, one process, no speculation; then anything below 1
    means that the two modes do not run the same computation.
    """
    reason = _reason(run)
    if reason:
        return {"fixed_prefix_share": figures.missing("1", reason)}
    pairs = list(zip(run.samples, run.fixed, strict=False))
    return {"fixed_prefix_share": figures.share_figure(sum(_agree(*pair) for pair in pairs), len(pairs))}


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


def _agree(natural: Sample, fixed: Sample) -> bool:
    """Compare the tokens up to the shorter end, leaving out the token that stopped the natural mode."""
    ended = natural.stop_reason != "length"
    ours = natural.token_ids[:-1] if ended else natural.token_ids
    n = min(len(ours), len(fixed.token_ids))
    return ours[:n] == fixed.token_ids[:n]
