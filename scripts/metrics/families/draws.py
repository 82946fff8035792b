"""How far quality goes from draw to draw, where each prompt is answered several times."""

from scripts.metrics import figures
from scripts.metrics.entry import Entry, Place
from scripts.metrics.families.text import GATED
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded

ORDER = 46
KEY = "rougeL_between_draws"
FIGURES = (
    Entry(
        KEY, "1", "ROUGE-L between draws",
        "Standard deviation of the mean ROUGE-L from draw to draw, where each prompt is answered several times: what "
        "luck with the noise does to a study of one draw.",
        "low", shown="plain", decimals=4, csv=KEY, table=Place("Quality"),
    ),
)  # fmt: skip
ONE = "one answer a prompt"


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the spread of the mean score."""
    spread = ((recorded.text or {}).get("between_draws") or {}).get(GATED)
    if spread is None:
        one = recorded.first.draws == 1
        return {KEY: figures.missing("1", recorded.unscored or (ONE if one else "not scored"))}
    return {KEY: figures.figure(spread, "1", recorded.first.draws, note="n counts draws of the whole study")}
