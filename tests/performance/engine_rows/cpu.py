"""The built-in ``small`` shape on the processor, one thread."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from tests.performance.engine_rows import models
from tests.performance.engine_rows.models import Place
from tests.performance.engine_rows.one import milliseconds
from tests.performance.engine_rows.paired import estimate, interleaved
from tests.performance.engine_rows.table import Row, measured


def rows(place: Place) -> Iterator[Row]:
    """Whole samples of the graph engine and of stock generate, which must write the same."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        config = models.small_config()
        model = models.random_model(config, torch.device("cpu"), torch.float32)
        ids = models.prompt(vocabulary=config.vocab_size)
        generator = models.engine(model, [[ids]])
        same = generator.generate([ids]).tokens[0] == models.stock_tokens(model, ids, models.NEW_TOKENS).tolist()
        sides = {"graph": models.sample(generator, [ids]), "stock": models.stock(model, ids)}
        figures = interleaved(sides, 2 * place.rounds)
    finally:
        torch.set_num_threads(threads)
    note = f"{milliseconds(figures, 'stock', 'graph.whole', 'graph.step')}; tokens {'equal' if same else 'DIFFER'}"
    yield measured("cpu", estimate(figures, lambda m: m["stock"] / m["graph.whole"]), note, figures)
