"""What came out: lengths in tokens, empty headlines, and why generation stopped."""

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from scripts.metrics import figures
from scripts.metrics.entry import PROMPTS, Change, Entry, Place, missing
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import STOP_REASONS, Run, Sample

ORDER = 50
FIGURES = (
    Entry(
        "new_tokens", "tokens", "New tokens", "Tokens that a request generated.", shown="plain",
        csv="new_tokens_mean", table=Place("Headlines", 1),
        change=Change("output_length_change_percent", PROMPTS, "new_tokens", of_text=True, family="length",
                      words=("shorter", "longer")),
    ),
    Entry("empty_share", "1", "Empty", "Share of answers without a word.",
          shown="percent", decimals=1, table=Place("Headlines")),
    Entry("unusable_share", "1", "No headline",
          "Share of answers in which no headline could be read: empty ones, endless thinking, refusals, announcements.",
          "low", shown="percent", decimals=1, csv="unusable_share", bounds=True, table=Place("Headlines", 3)),
    Entry("cleaned_share", "1", "Cleaned",
          "Share of answers that had more than the headline in them, such as a label, quotes or thinking, which was "
          "taken away before scoring.", shown="percent", decimals=1, csv="cleaned_share", table=Place("Headlines", 4)),
    Entry("truncated_share", "1", "Summaries cut",
          "Share of summaries that were cut at their end, since the prompt may have generation.max_prompt_tokens.",
          shown="percent", decimals=1, csv="truncated_share"),
    Entry("stop_end_share", "1", "Ended by its stop token",
          "Share of headlines that the model ended by its own stop token.", shown="percent"),
    Entry("stop_line_break_share", "1", "Ended by a line break", "Share of headlines that a line break ended.",
          shown="percent"),
    Entry("stop_text_share", "1", "Ended by a text", "Share of headlines that one of the texts in stop ended.",
          shown="percent"),
    Entry("stop_length_share", "1", "Runaway", "Share of headlines that ran into the length limit.",
          shown="percent", decimals=1, table=Place("Headlines")),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the output figures of the first run; where its text means nothing, only the token count has a value."""
    run = recorded.first
    samples, n = run.samples, len(run.samples)
    answers = [sample for each in run.passes() for sample in each]
    tokens = np.mean([[sample.new_tokens for sample in each] for each in run.passes()], axis=0)
    result = figures.mean_figures({"new_tokens": (tokens, "tokens")})
    if recorded.unscored:
        return missing(FIGURES, recorded.unscored) | result
    result["empty_share"] = _share(run, lambda sample: not (sample.answer or "").split())
    result["unusable_share"] = _told(
        _share(run, lambda sample: sample.fault is not None),
        (sample.fault for sample in answers if sample.fault is not None),
    )
    result["cleaned_share"] = _told(
        _share(run, lambda sample: bool(sample.removed)),
        (what for sample in answers for what in sample.removed),
    )
    known = [sample.truncated for sample in samples if sample.truncated is not None]
    result["truncated_share"] = (
        figures.share_figure(sum(known), n) if len(known) == n else figures.missing("1", "prompts have no limit")
    )
    untold = sum(sample.stop_reason is None for sample in answers)
    for reason in STOP_REASONS:
        if untold and reason != "length":
            note = f"the server does not tell an end token from a line break in {untold} of {len(answers)} headlines"
            result[f"stop_{reason}_share"] = figures.missing("1", note)
            continue
        result[f"stop_{reason}_share"] = _share(run, lambda sample, reason=reason: sample.stop_reason == reason)
    return result


def _share(run: Run, hit: Callable[[Sample], bool]) -> Figure:
    """The share of answers that are hit; with several draws its interval is that of the prompts' own shares."""
    hits = np.array([[hit(sample) for sample in each] for each in run.passes()], dtype=float)  # (draws, prompts)
    if run.draws == 1:
        return figures.share_figure(int(hits.sum()), hits.size)
    found = figures.mean_figures({"share": (hits.mean(axis=0), "1")})["share"]
    return found | {"count": int(hits.sum()), "answers": hits.size}


def _told(share: Figure, reasons: Iterable[str]) -> Figure:
    """The share with what there was and how often, as its note."""
    counted = Counter(reasons).most_common()
    said = ", ".join(f"{what} ({times})" for what, times in counted)
    return share | {"note": "; ".join(filter(None, (share.get("note"), said))) or None} if said else share
