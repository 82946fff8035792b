"""How well the tokens of headlines and references match in meaning, where the study names a text model for it."""

from scripts.metrics import texts
from scripts.metrics.entry import PROMPTS, Change, Entry, Place
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded

ORDER = 91
NO_MODEL = "not scored: the study names no model for it"
KEY = "bertscore_f1"
FIGURES = (
    Entry(
        KEY, "1", "BERTScore", "F1 of the tokens of a headline and of its reference, each matched with the one of the "
        "other text whose contextual embedding is most like its own (Zhang et al., 2020), not rescaled.",
        "high", shown="plain", decimals=3, csv=KEY, bounds=True, table=Place("Quality"),
        change=Change("bertscore_kept_percent", PROMPTS, KEY, kept=True, of_text=True, family="bertscore",
                      words=("worse", "better"), csv=True, label="BERTScore kept", main=False),
    ),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the mean F1."""
    reason = recorded.unscored or (NO_MODEL if recorded.bertscore is None else "not scored")
    return texts.score_figures(FIGURES, recorded.bertscore, reason)


def by_prompt(recorded: Recorded) -> dict[str, list | None]:
    """Return the F1 of each headline."""
    scores = (recorded.bertscore or {}).get("scores")
    return {KEY: scores[KEY] if scores else None}
