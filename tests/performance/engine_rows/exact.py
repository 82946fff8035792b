"""Tokens of the fast ways against the plain float32 transformers model."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch

from scripts.inference.likelihood import greedy_margins
from scripts.metrics import rounding
from scripts.runtime.models import Loaded, Process
from tests.performance.engine_rows import models
from tests.performance.engine_rows.models import Place
from tests.performance.engine_rows.paired import Estimate
from tests.performance.engine_rows.table import Row, last_lines, measured, missing

LENGTHS = (24, 33, 48, 64, 80, 81, 100, 17)  # prompts, which begin with the same tokens
PREFIX, TOKENS, DRAFTED = 11, 24, 4
# Wide enough for logits that rounding in float32 can't reorder, and for texts that don't repeat themselves.
WIDE = {"initializer_range": 0.08, "tie_word_embeddings": False}
NOISE = 0.25  # of the draft's weights against the target's, so that some of its tokens are accepted

Tokens = list[list[int]]


def rows(place: Place) -> Iterator[Row]:
    """Float32, where all must be equal; then bf16, where the share of equal ones and the gap of the logits are told."""
    if place.device.type == "cuda":
        config = models.config_of(models.ONE, num_hidden_layers=4, **WIDE)
    else:
        config = models.small_config(num_hidden_layers=4, num_key_value_heads=2, **WIDE)
    # Of weights that bf16 can hold, so that both dtypes compute the same model.
    plain = models.random_model(config, place.device, torch.bfloat16).float()
    same = models.prompt(PREFIX, vocabulary=config.vocab_size, seed=-1)
    prompts = [same + models.prompt(length - PREFIX, vocabulary=config.vocab_size, seed=length) for length in LENGTHS]
    reference = _stock(plain, prompts)
    # Fusing changes where a model's weights lie, so that every way has a copy of its own.
    for name, tokens in _ways(plain, prompts):
        yield _row(f"exact_{name}", tokens, reference, plain, prompts)
    for kind in models.QUANTISED:
        yield _quantised(f"exact_{kind}", plain, kind, prompts)
    rounded = models.rounded(copy.deepcopy(plain))
    yield _row("bf16_stock", _stock(rounded, prompts), reference, plain, prompts)
    for name, tokens in _ways(rounded, prompts):
        yield _row(f"bf16_{name}", tokens, reference, plain, prompts)
    for kind in models.QUANTISED:
        yield _quantised(f"bf16_{kind}", rounded, kind, prompts)


def _stock(model: Any, prompts: Tokens) -> Tokens:
    return [models.stock_tokens(model, ids, TOKENS).tolist() for ids in prompts]


def _ways(model: Any, prompts: Tokens) -> Iterator[tuple[str, Tokens | Exception]]:
    """Each way's tokens, or what went wrong."""
    singles = [[ids] for ids in prompts]

    def alone(**options: Any) -> Tokens:
        generator = models.engine(copy.deepcopy(model), singles, TOKENS, **options)
        return [generator.generate(batch).tokens[0] for batch in singles]

    def batch() -> Tokens:
        return models.engine(copy.deepcopy(model), [prompts], TOKENS).generate(prompts).tokens

    def speculation() -> Tokens:
        facets = {"speculation": {"draft": "draft", "tokens": DRAFTED}}
        return alone(draft=_draft(model), facets=facets)

    ways = {
        "graph": alone, "prefix": lambda: alone(shared_prefix=True), "batch": batch, "speculation": speculation,
    }  # fmt: skip
    for name, way in ways.items():
        try:
            tokens: Tokens | Exception = way()
        except Exception as error:  # the other ways can still be looked at
            tokens = error
        yield name, tokens
        models.free()


def _draft(model: Any) -> Any:
    """A model that often agrees with the target."""
    draft = copy.deepcopy(model)
    torch.manual_seed(1)
    for weight in draft.model.layers.parameters():
        weight += NOISE * weight.float().std() * torch.randn_like(weight) if weight.ndim == 2 else 0
    return draft


def _quantised(key: str, model: Any, kind: str, prompts: Tokens) -> Row:
    """A stored form under the engine against the same weights written out under stock generate, in float32."""
    try:
        singles = [[ids] for ids in prompts]
        generator = models.engine(models.stored(copy.deepcopy(model), kind), singles, TOKENS)
        tokens = [generator.generate(batch).tokens[0] for batch in singles]
        del generator
        models.free()
        # Stored weights are made from the model's own, so that rounding to bf16 comes before it.
        plain = models.dequantize(copy.deepcopy(model), kind, torch.float32)
        return _row(key, tokens, _stock(plain, prompts), plain, prompts)
    except Exception as error:
        return missing(key, last_lines(error))


def _row(key: str, tokens: Tokens | Exception, reference: Tokens, plain: Any, prompts: Tokens) -> Row:
    """The share of tokens up to each prompt's first divergence, and the float32 model's logits there.

    In float32 a text that parts at a tie that rounding turns counts as a whole: what follows is another text.
    """
    if isinstance(tokens, Exception):
        return missing(key, last_lines(tokens))
    same = [_equal(*pair) for pair in zip(tokens, reference, strict=True)]
    whole = [at == len(row) for at, row in zip(same, reference, strict=True)]
    ties = [False] * len(same)
    if key.startswith("exact_") and not all(whole):
        ties = _ties(plain, prompts, reference, tokens, same)
    counted = [len(row) if tie else at for at, row, tie in zip(same, reference, ties, strict=True)]
    share = sum(counted) / sum(map(len, reference))
    raw: dict[str, Any] = {"equal_up_to": same, "ties": ties, "tokens": tokens, "reference": reference}
    different = len({token for row in reference for token in row})
    note = f"{len(prompts)} prompts x {TOKENS} tokens, {different} of them different"
    gaps = [
        _gap(plain, ids + row[:at], row[at], other[at])
        for ids, row, other, at in zip(prompts, reference, tokens, same, strict=True)
        if at < len(row)
    ]
    if gaps:
        raw["gaps"] = gaps
        note += (
            f"; {len(gaps)} texts diverge, where the float32 logits of the two tokens are {min(gaps):.2g} to "
            f"{max(gaps):.2g} standard deviations of all apart"
        )
        note += f"; {sum(ties)} of them at ties that rounding turns" if any(ties) else ""
    return measured(key, Estimate(share, share, share, len(prompts)), note, raw)


def _ties(plain: Any, prompts: Tokens, reference: Tokens, tokens: Tokens, same: list[int]) -> list[bool]:
    """Whether each text parts at such a tie, as the lossless audit judges it; none, where there are too many."""
    loaded = Loaded(plain, Process(plain.device, torch.float32), {})
    choices = [greedy_margins(loaded, ids, row, rounding=True) for ids, row in zip(prompts, reference, strict=True)]
    known = rounding.measured(*([each[key] for each in choices] for key in ("margins", "margin_shifts")))
    ties = [
        at < min(len(row), len(other)) and other[at] == each["runners_up"][at] and known.ties(each["margins"][at])
        for each, row, other, at in zip(choices, reference, tokens, same, strict=True)
    ]
    return ties if known.explains(sum(ties)) else [False] * len(ties)


def _equal(tokens: list[int], reference: list[int]) -> int:
    """How many tokens are equal before the first that is not; a text that is too short is not equal either."""
    pairs = enumerate(zip(tokens, reference, strict=False))
    return next((at for at, (ours, theirs) in pairs if ours != theirs), min(len(tokens), len(reference)))


@torch.no_grad()
def _gap(plain: Any, ids: list[int], best: int, chosen: int) -> float:
    """How far the chosen token's logit lies under the best one's, in standard deviations of all logits."""
    logits = plain(torch.tensor([ids], device=plain.device)).logits[0, -1].float()
    return float((logits[best] - logits[chosen]) / logits.std())
