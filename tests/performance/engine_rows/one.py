"""Rows of the 1B shape at batch 1."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from tests.performance.engine_rows import bounds, models
from tests.performance.engine_rows.models import NEW_TOKENS, PROMPT_TOKENS, Place
from tests.performance.engine_rows.paired import estimate, interleaved
from tests.performance.engine_rows.table import Row, measured

LONG = 128  # new tokens of the loop's row
TTFT_TOKENS = 100


def rows(place: Place) -> Iterator[Row]:
    """Share of the limit, stock generate, time to first token, and the loop against bare replay."""
    config = models.config_of(models.ONE)
    model = models.random_model(config, place.device, torch.bfloat16)
    short, longer = (
        models.prompt(length, vocabulary=config.vocab_size, seed=length) for length in (PROMPT_TOKENS, TTFT_TOKENS)
    )
    generator = models.engine(model, [[short], [longer]])
    figures = interleaved(
        {
            "graph": models.sample(generator, [short]),
            "stock": models.stock(model, short),
            "first": models.sample(generator, [longer]),
        },
        place.rounds,
    )
    yield share(generator, figures, "share_1b")
    ratio = estimate(figures, lambda m: m["stock"] / m["graph.whole"])
    yield measured("against_stock", ratio, milliseconds(figures, "stock", "graph.whole"), figures)
    yield measured(
        "ttft_steps", estimate(figures, lambda m: m["first.first"] / m["first.step"]),
        milliseconds(figures, "first.first", "first.step"), figures, bounds.of_prompt(generator, [longer]),
    )  # fmt: skip
    del generator
    models.free()

    generator = models.engine(model, [[short]], LONG)
    figures = interleaved({"loop": _loop(generator, short), "bare": _replays(generator)}, place.rounds)
    yield measured(
        "loop", estimate(figures, lambda m: 100 * (m["loop"] / m["bare"] - 1)),
        milliseconds(figures, "loop", "bare"), figures,
    )  # fmt: skip


def static_rows(place: Place) -> Iterator[Row]:
    """transformers' static cache, which compiles itself; that takes most of this part's time."""
    config = models.config_of(models.ONE)
    model = models.random_model(config, place.device, torch.bfloat16)
    ids = models.prompt(vocabulary=config.vocab_size)
    generator = models.engine(model, [[ids]])
    began = time.perf_counter()
    static = models.stock(model, ids, cache_implementation="static")
    for _ in range(3):
        static()
    compiled = time.perf_counter() - began
    figures = interleaved({"graph": models.sample(generator, [ids]), "static": static}, place.rounds)
    note = f"{milliseconds(figures, 'static', 'graph.whole')}; compiled in {compiled:.0f} s"
    yield measured("against_static", estimate(figures, lambda m: m["static"] / m["graph.whole"]), note, figures)
    del static
    torch._dynamo.reset()


def eight_rows(place: Place) -> Iterator[Row]:
    """Share of the limit of the 8B shape."""
    config = models.config_of(models.EIGHT)
    model = models.random_model(config, place.device, torch.bfloat16)
    ids = models.prompt(vocabulary=config.vocab_size)
    generator = models.engine(model, [[ids]])
    yield share(generator, interleaved({"graph": models.sample(generator, [ids])}, place.rounds), "share_8b")


def share(generator: Any, figures: dict[str, list[float]], key: str) -> Row:
    """The row of a decode step's share of the limit, from samples of 80 + 16 tokens named ``graph``."""
    # The cache of the step in the middle.
    positions = PROMPT_TOKENS + NEW_TOKENS / 2
    value = estimate(figures, lambda m: models.share_of_limit(generator, m["graph.step"], positions))
    copied = bounds.copy_bandwidth(generator.device)
    sheet = models.bandwidth(generator.device)
    note = (
        f"{milliseconds(figures, 'graph.step', 'graph.whole')}; {models.step_bytes(generator, positions) / 1e9:.3f} GB "
        f"a step; a copy reaches {copied / sheet:.2f} of {sheet / 1e12:.2f} TB/s"
    )
    raw = figures | {"step_bytes": models.step_bytes(generator, positions), "copy_bytes_per_s": copied}
    return measured(key, value, note, raw, bounds.of_step(generator))


def milliseconds(figures: dict[str, list[float]], *names: str) -> str:
    """Medians for a note."""
    return ", ".join(f"{name} {1e3 * statistics.median(figures[name]):.3f} ms" for name in names)


def _loop(generator: Any, ids: list[int]) -> Callable[[], float]:
    """Seconds between the first and the last token as the host sees them."""

    def side() -> float:
        moments = generator.generate([ids]).moments
        return moments[-1] - moments[0]

    return side


def _replays(generator: Any) -> Callable[[], float]:
    """Seconds of as many bare steps, started one after another."""

    @torch.inference_mode()
    def side() -> float:
        session = generator.sessions[1]
        session.state.positions.fill_(PROMPT_TOKENS)
        session.state.step.fill_(1)
        torch.cuda.synchronize(generator.device)
        began = time.perf_counter()
        for _ in range(LONG - 1):
            session.step()
        torch.cuda.synchronize(generator.device)
        return time.perf_counter() - began

    return side
