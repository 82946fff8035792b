"""How near the headlines are to the references in words, how long they are, and how much of them is copied."""

from scripts.metrics import rouge, texts
from scripts.metrics.entry import PROMPTS, Change, Entry, Place, Term
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded

ORDER = 40
ROUGE = Term(
    "ROUGE",
    "F1 overlap with the reference headline: single words (1), pairs of words (2), longest common subsequence (L), and "
    "the same by sentence (Lsum).",
)
GATED = "rougeL"
VARIANTS = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "rougeLsum": "ROUGE-Lsum"}


def _rouge(key: str, label: str) -> Entry:
    gated = key == GATED
    change = Change(
        f"quality_kept_percent_{key}", PROMPTS, key, kept=True, of_text=True, family="quality",
        words=("worse", "better"), csv=True, verdict="rougeL_verdict" if gated else "",
        label=f"{label} kept" if gated else "", main=False,
    )  # fmt: skip
    return Entry(
        key, "1", label, ROUGE, "high", shown="plain", decimals=3, study=key, csv=f"{key}_f1", bounds=gated,
        table=Place("Quality", main=gated), criterion="quality" if gated else "", change=change,
    )  # fmt: skip


FIGURES = (
    *(_rouge(key, VARIANTS[key]) for key in rouge.KEYS),
    Entry("copied_share", "1", "Copied words", "Share of a headline's words that stand in its summary.",
          shown="percent", decimals=1, table=Place("Headlines", 2)),
    Entry("headline_words", "words", "Headline words",
          "Words of a headline; in scripts without spaces each character counts."),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the mean of each score of the text."""
    return texts.score_figures(FIGURES, recorded.text, recorded.unscored or "not scored")


def by_prompt(recorded: Recorded) -> dict[str, list | None]:
    """Return the scores of each headline."""
    scores = (recorded.text or {}).get("scores")
    found = {key: scores[key] if scores else None for key in (*rouge.KEYS, "copied_share")}
    first = (recorded.text or {}).get("first_draw")
    return found | ({"first_draw": {key: first[key] for key in rouge.KEYS}} if first else {})
