"""Source ``newswire``: stories that the project generates."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import ClassVar, Self

from tqdm import tqdm

from scripts.dataset.entries import Columns, Entry, Opened
from scripts.dataset.newswire import generator
from scripts.dataset.source import Options, Source


@dataclass(frozen=True)
class Settings(Source):
    """How many stories to generate."""

    data_files: ClassVar[tuple[str, ...]] = ("scripts/dataset/newswire/events", "scripts/dataset/newswire/names.yaml")

    train_rows: int = 12000
    evaluation_rows: int = 1000

    @classmethod
    def read(cls, options: Options) -> Self:
        """Read both numbers."""
        default = cls()
        return cls(
            options.whole("train_rows", default.train_rows, 0),
            options.whole("evaluation_rows", default.evaluation_rows, 1),
        )

    def split_rows(self) -> dict[str, int]:
        """Both numbers."""
        return asdict(self)

    def open(self, seed: int) -> Opened:
        """Open the generator: the evaluation rows come first, in the order in which they are generated."""
        columns = Columns(summary="summary", headline="headline", category="category")
        return Opened("newswire", self._entries(seed), {"generator": "newswire", **asdict(self)}, "row", columns)

    def _entries(self, seed: int) -> Iterator[Entry]:
        with tqdm(total=self.train_rows + self.evaluation_rows, unit="row", desc="writing news", mininterval=1) as bar:
            for position, (side, story) in enumerate(self._stories(seed), start=1):
                bar.update()
                fields = {"summary": story.summary, "headline": story.headline, "category": story.category}
                yield Entry(position, fields, side=side)

    def _stories(self, seed: int) -> Iterator[tuple[str, generator.Story]]:
        """Evaluation and training stories; training stories with an evaluation headline are dropped (leakage)."""
        headlines: set[str] = set()
        for story in islice(generator.stories(seed, generator.EVALUATION), self.evaluation_rows):
            headlines.add(story.headline.casefold())
            yield "pool", story
        fresh = (
            story for story in generator.stories(seed, generator.TRAIN) if story.headline.casefold() not in headlines
        )
        for story in islice(fresh, self.train_rows):
            yield "train", story
