"""Weights of 8 and 4 bits against bf16, both under the graph engine; and half of the feed-forward channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from scripts.hardware.widths import kept_channels
from tests.performance.engine_rows import bounds, models
from tests.performance.engine_rows.models import NEW_TOKENS, PROMPT_TOKENS, Place
from tests.performance.engine_rows.one import milliseconds
from tests.performance.engine_rows.paired import estimate, interleaved
from tests.performance.engine_rows.table import Row, measured

POSITIONS = PROMPT_TOKENS + NEW_TOKENS / 2


def rows(place: Place) -> Iterator[Row]:
    """Every kind on the 1B shape, int4 on the 8B shape."""
    yield from _against_dense(place, models.ONE, {kind: f"{kind}_1b" for kind in models.QUANTISED})
    models.free()
    yield from _against_dense(place, models.EIGHT, {"int4": "int4_8b"})


def _against_dense(place: Place, shape: str, keys: dict[str, str]) -> Iterator[Row]:
    config = models.config_of(shape)
    ids = models.prompt(vocabulary=config.vocab_size)
    engines = {}
    for kind in ("dense", *keys):
        model = models.random_model(config, place.device, torch.bfloat16)
        engines[kind] = models.engine(model if kind == "dense" else models.stored(model, kind), [[ids]])
        del model
        models.free()
    figures = interleaved({kind: models.sample(each, [ids]) for kind, each in engines.items()}, place.rounds)
    for kind, key in keys.items():
        yield _faster(key, engines, kind, figures)


def _faster(key: str, engines: dict[str, Any], kind: str, figures: dict[str, list[float]]) -> Row:
    """The row of a kind's whole sample against that of the dense model, the decode step's beside it."""
    value = estimate(figures, lambda m: m["dense.whole"] / m[f"{kind}.whole"])
    step = estimate(figures, lambda m: m["dense.step"] / m[f"{kind}.step"])
    share = estimate(figures, lambda m: models.share_of_limit(engines[kind], m[f"{kind}.step"], POSITIONS))
    read = models.step_bytes(engines["dense"], POSITIONS) / models.step_bytes(engines[kind], POSITIONS)
    note = (
        f"step {step.value:.2f}x, bytes {read:.2f}x fewer, {share.value:.2f} of the limit; "
        f"{milliseconds(figures, 'dense.whole', f'{kind}.whole', f'{kind}.first', f'{kind}.step')}"
    )
    return measured(key, value, note, figures, bounds.of_step(engines[kind]))


def pruning_rows(place: Place) -> Iterator[Row]:
    """What narrower feed-forward layers gain, against the bytes that they save."""
    config = models.config_of(models.ONE)
    width = kept_channels(config.intermediate_size, 0.5)
    ids = models.prompt(vocabulary=config.vocab_size)
    engines = {
        name: models.engine(models.random_model(each, place.device, torch.bfloat16), [[ids]])
        for name, each in (("dense", config), ("pruned", models.config_of(models.ONE, intermediate_size=width)))
    }
    figures = interleaved({name: models.sample(each, [ids]) for name, each in engines.items()}, place.rounds)
    read = models.step_bytes(engines["dense"], POSITIONS) / models.step_bytes(engines["pruned"], POSITIONS)
    whole = estimate(figures, lambda m: m["dense.whole"] / m["pruned.whole"] / read)
    step = estimate(figures, lambda m: m["dense.step"] / m["pruned.step"])
    note = (
        f"{whole.value * read:.2f}x over {read:.2f}x; the step alone {step.value:.2f}x, {step.value / read:.3f} of it; "
        f"{milliseconds(figures, 'dense.whole', 'pruned.whole')}"
    )
    yield measured("pruning", whole, note, figures | {"byte_ratio": read}, bounds.of_step(engines["pruned"]))
