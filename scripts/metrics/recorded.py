"""What the figures of a technique are computed from."""

from dataclasses import dataclass, field
from typing import Any

from scripts.metrics.distributions import Compared
from scripts.metrics.runs import Run, unscored_reason


@dataclass(frozen=True)
class Recorded:
    """A technique's runs, at least one, and the files of scores of the first one's text; None for one without.

    ``loads``: its load runs, as :mod:`scripts.metrics.loads` reads them; empty where it is not tested under load.
    ``distributions``: the first run's, beside its parent's; None where they were not compared. ``entailment``: the file
    of judgements of the first run's text.
    """

    runs: list[Run]
    text: dict[str, Any] | None = None
    semantic: dict[str, Any] | None = None
    loads: list[dict[str, Any]] = field(default_factory=list)
    distributions: Compared | None = None
    entailment: dict[str, Any] | None = None
    bertscore: dict[str, Any] | None = None

    @property
    def first(self) -> Run:
        """The run that quality comes from."""
        return self.runs[0]

    @property
    def unscored(self) -> str | None:
        """Why its text is not scored, or None."""
        return unscored_reason(self.first)

    @property
    def batch_size(self) -> int:
        """How many requests were handed over at once."""
        return int(self.first.settings.get("batch_size") or 1)
