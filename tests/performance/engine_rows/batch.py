"""Samples a second of the 1B shape in batches."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import torch

from tests.performance.engine_rows import bounds, models
from tests.performance.engine_rows.models import PROMPT_TOKENS, Place
from tests.performance.engine_rows.paired import estimate, interleaved
from tests.performance.engine_rows.table import Row, measured

SIZES, QUICK_SIZES = (64, 128, 256, 512), (128, 512)
PREFIX = 11  # tokens that all prompts begin with


def rows(place: Place) -> Iterator[Row]:
    """The best of all batch sizes, with the shared prefix read once and without."""
    config = models.config_of(models.ONE)
    sizes = QUICK_SIZES if place.quick else SIZES
    model = models.random_model(config, place.device, torch.bfloat16)
    same = models.prompt(PREFIX, vocabulary=config.vocab_size, seed=-1)
    prompts = [
        same + models.prompt(PROMPT_TOKENS - PREFIX, vocabulary=config.vocab_size, seed=number)
        for number in range(max(sizes))
    ]
    batches = [prompts[:size] for size in sizes]
    engines = {shared: models.engine(model, batches, shared_prefix=shared) for shared in (False, True)}
    ways = {f"{size}{' shared' if shared else ''}": (shared, size) for shared in engines for size in sizes}
    figures = interleaved(
        {name: models.sample(engines[shared], prompts[:size]) for name, (shared, size) in ways.items()},
        place.rounds, rehearsals=1,
    )  # fmt: skip
    rates = {
        name: estimate(
            {"done": figures[f"{name}.done"]},
            lambda m, size=size: size / m["done"],
        )
        for name, (_, size) in ways.items()
    }
    best = max(rates, key=lambda name: rates[name].value)
    shared, size = ways[best]
    each = ", ".join(f"{name}: {rate.value:,.0f}" for name, rate in rates.items())
    first, step = (1e3 * statistics.median(figures[f"{best}.{part}"]) for part in ("first", "step"))
    note = (
        f"best: batch {size}{', shared prefix' if shared else ''}; prefill {first:.1f} ms, step {step:.2f} ms; {each}"
    )

    def explain() -> list[str]:
        prompt = bounds.of_prompt(engines[shared], prompts[:size])
        return [*prompt(), *bounds.of_step(engines[shared], size)()]

    yield measured("batch", rates[best], note, figures, explain)
