"""The built-in source: generated stories."""

from collections.abc import Iterator
from itertools import islice

from tqdm import tqdm

from scripts.dataset.entries import Columns, Entry, Source
from scripts.dataset.newswire import generator


def open_newswire(train_rows: int, evaluation_rows: int, seed: int) -> Source:
    """Open the generator as a source: the evaluation rows come first, in the order in which they are generated.

    A training story that happens to have the headline of an evaluation story is passed over, so that none leaks.
    """
    origin = {"generator": "newswire", "train_rows": train_rows, "evaluation_rows": evaluation_rows}
    columns = Columns(summary="summary", headline="headline", category="category")
    return Source("newswire", _entries(train_rows, evaluation_rows, seed), origin, "row", columns)


def _entries(train_rows: int, evaluation_rows: int, seed: int) -> Iterator[Entry]:
    position = 0
    with tqdm(total=train_rows + evaluation_rows, unit="row", desc="writing news", mininterval=1) as bar:
        for side, story in _stories(train_rows, evaluation_rows, seed):
            position += 1
            bar.update()
            fields = {"summary": story.summary, "headline": story.headline, "category": story.category}
            yield Entry(position, fields, side=side)


def _stories(train_rows: int, evaluation_rows: int, seed: int) -> Iterator[tuple[str, generator.Story]]:
    taken: set[str] = set()
    for story in islice(generator.stories(seed, generator.EVALUATION), evaluation_rows):
        taken.add(story.headline.casefold())
        yield "pool", story
    fresh = (story for story in generator.stories(seed, generator.TRAIN) if story.headline.casefold() not in taken)
    for story in islice(fresh, train_rows):
        yield "train", story
