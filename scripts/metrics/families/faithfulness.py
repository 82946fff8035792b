"""Whether a headline's numbers, dates and names stand in its summary, by rules that know no language."""

from typing import Any

import numpy as np

from scripts.metrics import figures
from scripts.metrics.entry import PROMPTS, Change, Entry, Place
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded

ORDER = 45
PRECISION, NUMBERS, NAMES = "entity_precision", "number_precision", "name_precision"
COLUMNS = {
    PRECISION: ("entities_supported", "entities"),
    NUMBERS: ("numbers_supported", "numbers"),
    NAMES: ("names_supported", "names"),
}
UNSUPPORTED = "unsupported"
FIGURES = (
    Entry(
        PRECISION, "1", "Entities in summary",
        "Share of the numbers, dates and names of the headlines that their summaries have (precision of entities, "
        "after Nan et al., 2021), by rules that know no language.",
        "high", shown="percent", decimals=1, csv=PRECISION, bounds=True, table=Place("Headlines", 3),
        change=Change(
            "entity_precision_kept_percent", PROMPTS, "entities_supported", "entities", kept=True, of_text=True,
            family="faithfulness", words=("worse", "better"), csv=True,
        ),
    ),
    Entry(NUMBERS, "1", "Numbers in summary", "Share of the headlines' numbers and dates that their summaries have.",
          "high", shown="percent", decimals=1, table=Place("Headlines", 3)),
    Entry(NAMES, "1", "Names in summary", "Share of the headlines' names that their summaries have; names are found by "
          "their capitals, where those tell.", "high", shown="percent", decimals=1, table=Place("Headlines", 3)),
)  # fmt: skip
NO_NAMES = "not measured: in these summaries capitals do not mark names"


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the precisions: ratios of sums over the headlines, so that each entity counts alike."""
    scores = (recorded.text or {}).get("scores") or {}
    found: dict[str, Figure] = {}
    for entry in FIGURES:
        top, bottom = COLUMNS[entry.key]
        if scores.get(top) is None:
            found[entry.key] = figures.missing("1", recorded.unscored or "not scored")
        elif entry.key == NAMES and not recorded.text.get("names_known"):
            found[entry.key] = figures.missing("1", NO_NAMES)
        else:
            columns = tuple(np.array(scores[key], dtype=float) for key in (top, bottom))
            found |= _noted(figures.ratio_figures({entry.key: (*columns, "1")}), columns[1], recorded.text)
    return found


def by_prompt(recorded: Recorded) -> dict[str, list | None]:
    """Return the counts of each headline, and the texts of what its summary has not."""
    scores = (recorded.text or {}).get("scores") or {}
    return {key: scores.get(key) for key in ("entities", "entities_supported", UNSUPPORTED)}


def _noted(found: dict[str, Figure], counts: np.ndarray, text: dict[str, Any]) -> dict[str, Figure]:
    """Say how many entities there were, and what the references' own share is: it need not be 1."""
    for key, figure in found.items():
        top, bottom = (sum((text.get("reference_entities") or {}).get(name) or []) for name in COLUMNS[key])
        own = f"; of the references' own {bottom:,}, {100 * top / bottom:.1f}%" if bottom else ""
        note = f"{int(counts.sum()):,} in the headlines{own}"
        figure["note"] = "; ".join(filter(None, (figure["note"], note)))
    return found
