"""How many headlines follow from their summaries, where the study names a classifier of natural language inference."""

from scripts.metrics import texts
from scripts.metrics.entry import PROMPTS, Change, Entry, Place
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded

ORDER = 92
NO_MODEL = "not judged: the study names no classifier for it"
KEY, COUNTED = "entailed_share", "entailment_counted"
COMPARE = "compare techniques by it, since references themselves are often not entailed"
FIGURES = (
    Entry(
        KEY, "1", "Entailed", "Share of the headlines that follow from their summaries, as a classifier of natural "
        "language inference judges. It tells techniques apart; by itself it says little, since references may not.",
        "high", shown="percent", decimals=1, csv=KEY, bounds=True, table=Place("Quality"),
        change=Change("entailed_kept_percent", PROMPTS, KEY, COUNTED, kept=True, of_text=True, family="entailment",
                      words=("worse", "better"), csv=True, label="Entailed kept", main=False),
    ),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the share entailed."""
    reason = recorded.unscored or (NO_MODEL if recorded.entailment is None else "not judged")
    found = texts.score_figures(FIGURES, recorded.entailment, reason)
    if found[KEY]["value"] is not None:
        found[KEY]["note"] = "; ".join(filter(None, (found[KEY]["note"], COMPARE)))
    return found


def by_prompt(recorded: Recorded) -> dict[str, list | None]:
    """Return the judgement of each headline; an empty one has none."""
    scores = (recorded.entailment or {}).get("scores")
    found = scores[KEY] if scores else None
    return {KEY: found, COUNTED: found and [float(value is not None) for value in found]}
