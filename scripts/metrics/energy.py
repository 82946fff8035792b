"""Energy per sample, from the counters that were read around the natural mode of each run; never estimated."""

from scripts.metrics import figures
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run

ENERGY_UNITS = {"energy_per_sample_j": "J"}
NOT_READ = "no energy counter was read"
WHOLE_PACKAGE = "the processor's whole package: other programs' share is in it"
TURNS = "what the reference's turns drew is left out, as nearly as the counter's steps show it"


def energy_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return joules per sample, one value a run, or the reason that a run recorded for having none."""
    readings = [run.info.get("energy") or {} for run in runs]
    for reading in readings:
        if reading.get("natural_j") is None:
            reason = reading.get("reason") or NOT_READ
            return {"energy_per_sample_j": figures.missing("J", reason)}
    values = [reading["natural_j"] / len(run.samples) for reading, run in zip(readings, runs, strict=True)]
    figure = figures.repeated_figure(values, "J")
    notes = [WHOLE_PACKAGE] if readings[0].get("method") == "rapl" else []
    if any((run.info.get("reference") or {}).get("status") == "on" for run in runs):
        notes.append(TURNS)
    figure["note"] = "; ".join(filter(None, (*notes, figure["note"]))) or None
    return {"energy_per_sample_j": figure | {"method": readings[0].get("method")}}
