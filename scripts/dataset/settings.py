"""The stage's settings: from a study's ``dataset`` to checked values."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scripts.dataset import sources
from scripts.dataset.filters import Bounds, Filters
from scripts.dataset.source import Options, Source
from scripts.foundation.errors import StudyError

#: What becomes of HTML in a text: its text alone is taken, or it stays.
MARKUP = ("text", "keep")


@dataclass(frozen=True)
class Settings:
    """Everything that decides what the data set holds."""

    source: str
    options: Source
    filters: Filters
    evaluation_share: float
    seed: int
    markup: str = "text"

    def as_dict(self) -> dict[str, Any]:
        """Return the settings with all defaults filled in, in the form in which they are given."""
        return {
            "source": self.source,
            self.source: asdict(self.options),
            "filters": self.filters.as_dict(),
            "markup": self.markup,
            "evaluation_share": self.evaluation_share,
            "seed": self.seed,
        }


def parse(text: str) -> Settings:
    """Read the settings from JSON.

    Raises:
        StudyError: they are not JSON, or a value is missing or not allowed; the message names the key.
    """
    try:
        return read(json.loads(text))
    except json.JSONDecodeError as error:
        raise StudyError(f"--settings is not valid JSON ({error}); pass one JSON object.") from None


def read(given: Mapping[str, Any]) -> Settings:
    """Read the settings; options of other sources than the chosen one are ignored.

    Raises:
        StudyError: a value is missing or not allowed; the message names the key.
    """
    options = Options.of(given, "dataset")
    source = options.given.get("source", "newswire")
    if source not in sources.names():
        raise StudyError(f"dataset.source: {source!r} is unknown; choose one of {', '.join(sources.names())}.")
    share = options.given.get("evaluation_share", 0.2)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise StudyError(f"dataset.evaluation_share: {share!r} must be a number above 0 and up to 1.")
    filters, default = options.mapping("filters"), Filters()
    return Settings(
        source,
        sources.find(source).read(options.mapping(source)),
        Filters(
            _bounds(filters.mapping("summary_words"), default.summary_words),
            _bounds(filters.mapping("headline_words"), default.headline_words),
        ),
        float(share),
        options.whole("seed", 0),
        options.choice("markup", MARKUP),
    )


def _bounds(options: Options, default: Bounds) -> Bounds:
    least, most = options.whole("min", default.min, 1), options.whole("max", default.max, 1)
    if least > most:
        raise StudyError(f"{options.key}: min {least} is above max {most}; swap them.")
    return Bounds(least, most)
