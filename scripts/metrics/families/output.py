"""What came out: lengths in tokens, empty headlines, and why generation stopped."""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.entry import PROMPTS, Change, Entry, Place, missing
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import STOP_REASONS

ORDER = 50
FIGURES = (
    Entry(
        "new_tokens", "tokens", "New tokens", "Tokens that a request generated.", shown="plain",
        csv="new_tokens_mean", table=Place("Headlines", 1),
        change=Change("output_length_change_percent", PROMPTS, "new_tokens", of_text=True, family="length",
                      words=("shorter", "longer")),
    ),
    Entry("empty_share", "1", "Empty", "Share of headlines without a word.",
          shown="percent", decimals=1, table=Place("Headlines")),
    Entry("stop_end_share", "1", "Ended by its stop token",
          "Share of headlines that the model ended by its own stop token.", shown="percent"),
    Entry("stop_line_break_share", "1", "Ended by a line break", "Share of headlines that a line break ended.",
          shown="percent"),
    Entry("stop_length_share", "1", "Runaway", "Share of headlines that ran into the length limit.",
          shown="percent", decimals=1, table=Place("Headlines")),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the output figures of the first run; where its text means nothing, only the token count has a value."""
    samples, n = recorded.first.samples, len(recorded.first.samples)
    tokens = np.array([sample.new_tokens for sample in samples], dtype=float)
    result = figures.mean_figures({"new_tokens": (tokens, "tokens")})
    if recorded.unscored:
        return missing(FIGURES, recorded.unscored) | result
    result["empty_share"] = figures.share_figure(sum(not sample.headline.split() for sample in samples), n)
    untold = sum(sample.stop_reason is None for sample in samples)
    for reason in STOP_REASONS:
        if untold and reason != "length":
            note = f"the server does not tell an end token from a line break in {untold} of {n} headlines"
            result[f"stop_{reason}_share"] = figures.missing("1", note)
            continue
        hits = sum(sample.stop_reason == reason for sample in samples)
        result[f"stop_{reason}_share"] = figures.share_figure(hits, n)
    return result
