"""How near the headlines are to the references in meaning, where the study names a text encoder."""

from scripts.metrics import texts
from scripts.metrics.entry import Entry, Place
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded

ORDER = 90
NO_MODEL = "not scored: the study names no model for it"
KEY = "semantic_similarity"
FIGURES = (
    Entry(KEY, "1", "Semantic similarity", "Cosine of the mean hidden states that a text encoder has of a headline and "
          "of its reference (Reimers and Gurevych, 2019).", shown="plain", decimals=3, table=Place("Quality")),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the mean similarity."""
    reason = recorded.unscored or (NO_MODEL if recorded.semantic is None else "not scored")
    return texts.score_figures(FIGURES, recorded.semantic, reason)


def by_prompt(recorded: Recorded) -> dict[str, list | None]:
    """Return the similarity of each headline."""
    scores = (recorded.semantic or {}).get("scores")
    return {KEY: scores[KEY] if scores else None}
