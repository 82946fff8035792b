"""Which rows are used, by their lengths."""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Bounds:
    """Smallest and largest number of words, both allowed."""

    min: int
    max: int


@dataclass(frozen=True)
class Filters:
    """Which rows are used, by their words after cleaning; see :func:`scripts.foundation.words.count`."""

    summary_words: Bounds = field(default_factory=lambda: Bounds(5, 100))
    headline_words: Bounds = field(default_factory=lambda: Bounds(2, 30))

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return the bounds as the settings write them."""
        return asdict(self)
