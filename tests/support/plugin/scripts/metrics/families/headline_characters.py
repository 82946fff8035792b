"""How long headlines are in characters."""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.entry import Entry, Place
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded

KEY = "headline_characters"
FIGURES = (
    Entry(KEY, "characters", "Characters", "Characters of a headline, spaces among them.",
          csv=KEY, table=Place("Headlines", 5, main=True)),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the mean over the first run's headlines."""
    lengths = np.array([len(sample.headline) for sample in recorded.first.samples], dtype=float)
    return figures.mean_figures({KEY: (lengths, "characters")})
