"""Energy per sample, from the counters that were read around the natural mode of each run; never estimated."""

from scripts.metrics import figures
from scripts.metrics.entry import Entry, Place, missing
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded

ORDER = 110
KEY = "energy_per_sample_j"
FIGURES = (
    Entry(KEY, "J", "Energy a headline", "Joules by the machine's own counters over the requests, never estimated.",
          csv=KEY, table=Place("Cost and machine", 1)),
)  # fmt: skip
NOT_READ = "no energy counter was read"
WHOLE_PACKAGE = "the processor's whole package: other programs' share is in it"
TURNS = "what the reference's turns drew is left out, as nearly as the counter's steps show it"


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return joules per sample, one value a run, or the reason that a run recorded for having none."""
    runs = recorded.runs
    readings = [run.info.get("energy") or {} for run in runs]
    unread = next((reading for reading in readings if reading.get("natural_j") is None), None)
    if unread is not None:
        return missing(FIGURES, unread.get("reason") or NOT_READ)
    values = [
        reading["natural_j"] / (len(run.samples) * run.draws) for reading, run in zip(readings, runs, strict=True)
    ]
    figure = figures.repeated_figure(values, "J")
    notes = [WHOLE_PACKAGE] if readings[0].get("method") == "rapl" else []
    if any((run.info.get("reference") or {}).get("status") == "on" for run in runs):
        notes.append(TURNS)
    figure["note"] = "; ".join(filter(None, (*notes, figure["note"]))) or None
    return {KEY: figure | {"method": readings[0].get("method")}}
