"""Tokens of the graph engine against those of the plain transformers model in float32.

    python -m tests.performance.exact_tokens

Eight prompts, four layers of Llama-3.2-1B with random weights (without a GPU of the ``small`` shape). In float32
every token must be equal, but for ties that another order of sums turns; the exit status is 1 where one is not. Of
bfloat16 the share of equal tokens before the first difference is told, and how near the logits are there. Weights of 8
and 4 bits are held against the same weights, dequantised.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from scripts.engine.engine import GraphEngine
from scripts.engine.speculation import SpeculativeEngine
from scripts.inference.likelihood import greedy_margins
from scripts.kernels.matrix import quantize
from scripts.metrics import rounding
from scripts.runtime.layers import linear_layers
from scripts.runtime.models import Loaded, Process
from scripts.techniques.quantization.layers import replace
from scripts.techniques.quantization.weight_only_linear import quantised
from tests.performance.random_models import config_of, prompt, random_model

LENGTHS = (24, 33, 48, 64, 80, 81, 100, 17)  # of prompts
PREFIX, NEW_TOKENS, DRAFTED = 11, 24, 4  # tokens that all prompts begin with, of each text, and of a proposal
# Wide enough for logits that rounding in float32 can't reorder, and for texts that don't repeat themselves.
WIDE = {"num_hidden_layers": 4, "initializer_range": 0.08, "tie_word_embeddings": False}
NOISE = 0.25  # of the draft's weights against the target's, so that some of its tokens are accepted
KINDS = ("int8", "int4", "fp8")

Tokens = list[list[int]]


def stock(model: Any, prompts: Tokens) -> Tokens:
    """Greedy decoding by transformers, one prompt at a time."""
    found = []
    for ids in prompts:
        given = torch.tensor([ids], device=model.device)
        options = {"attention_mask": torch.ones_like(given), "max_new_tokens": NEW_TOKENS, "do_sample": False}
        found.append(model.generate(given, pad_token_id=0, **options)[0, len(ids) :].tolist())
    return found


def by_engine(model: Any, batches: list[Tokens], draft: Any = None, *, shared_prefix: bool = False) -> Tokens:
    """The graph engine's tokens; it fuses weights, so that it works on a copy."""
    loaded = Loaded(copy.deepcopy(model), Process(model.device, model.dtype), {}, draft=copy.deepcopy(draft))
    if draft is None:
        engine = GraphEngine(loaded, shared_prefix=shared_prefix, pad=0)
    else:
        engine = SpeculativeEngine(loaded, {"tokens": DRAFTED}, shared_prefix=shared_prefix, pad=0)
    engine.reserve(batches, NEW_TOKENS)
    engine.limit(NEW_TOKENS, [])
    return [tokens for batch in batches for tokens in engine.generate(batch).tokens]


def noisy(model: Any) -> Any:
    """A draft that often agrees with the target."""
    draft = copy.deepcopy(model)
    torch.manual_seed(1)
    for weight in draft.model.layers.parameters():
        weight += NOISE * weight.float().std() * torch.randn_like(weight) if weight.ndim == 2 else 0
    return draft


def dequantised(model: Any, kind: str) -> Any:
    """The model in float32, its linear layers' weights rounded to that kind."""
    weights = {name: quantize(layer.weight, kind).dense(torch.float32) for name, layer in linear_layers(model).items()}
    plain = copy.deepcopy(model).float()
    for name, layer in linear_layers(plain).items():
        layer.weight.copy_(weights[name])
    return plain


def ways(model: Any, plain: Any, prompts: Tokens) -> Iterator[tuple[str, Any, Callable[[], Tokens]]]:
    """Names, the float32 models that each is held against, and what makes the tokens."""
    singles = [[ids] for ids in prompts]
    if model.dtype != torch.float32:
        yield "stock generate", plain, lambda: stock(model, prompts)
    yield "graph", plain, lambda: by_engine(model, singles)
    yield "shared prefix", plain, lambda: by_engine(model, singles, shared_prefix=True)
    yield "batch", plain, lambda: by_engine(model, [prompts])
    yield "speculation", plain, lambda: by_engine(model, singles, noisy(model))
    for kind in KINDS:
        stored = copy.deepcopy(model)
        replace(stored, lambda name, layer, kind=kind: quantised(layer.weight.detach(), layer.bias, kind))
        yield kind, dequantised(model, kind), lambda stored=stored: by_engine(stored, singles)


def equal_tokens(tokens: list[int], reference: list[int]) -> int:
    """How many tokens are equal before the first that is not."""
    pairs = enumerate(zip(tokens, reference, strict=False))
    return next((at for at, (ours, theirs) in pairs if ours != theirs), min(len(tokens), len(reference)))


def ties(plain: Any, prompts: Tokens, reference: Tokens, tokens: Tokens) -> list[bool]:
    """Whether each text parts at a tie that rounding turns, as the lossless audit judges it; none if too many do."""
    loaded = Loaded(plain, Process(plain.device, torch.float32), {})
    choices = [greedy_margins(loaded, ids, row, rounding=True) for ids, row in zip(prompts, reference, strict=True)]
    known = rounding.measured(*([each[key] for each in choices] for key in ("margins", "margin_shifts")))
    found = []
    for each, row, other in zip(choices, reference, tokens, strict=True):
        at = equal_tokens(other, row)
        parts = at < min(len(row), len(other))
        found.append(parts and other[at] == each["runners_up"][at] and known.ties(each["margins"][at]))
    return found if known.explains(sum(found)) else [False] * len(found)


@torch.no_grad()
def gap(plain: Any, ids: list[int], best: int, chosen: int) -> float:
    """How far the chosen token's logit lies under the best one's, in standard deviations of all logits."""
    logits = plain(torch.tensor([ids], device=plain.device)).logits[0, -1].float()
    return float((logits[best] - logits[chosen]) / logits.std())


def compared(plain: Any, prompts: Tokens, tokens: Tokens, *, exact: bool) -> tuple[float, str]:
    """The share of equal tokens, texts that part at ties counting as whole if ``exact``; and where texts part."""
    reference = stock(plain, prompts)
    same = [equal_tokens(*pair) for pair in zip(tokens, reference, strict=True)]
    parting = [row for row, at in enumerate(same) if at < len(reference[row])]
    turned = ties(plain, prompts, reference, tokens) if exact and parting else [False] * len(same)
    counted = [len(row) if tie else at for at, row, tie in zip(same, reference, turned, strict=True)]
    note = f"{len(prompts)} prompts, {len({token for row in reference for token in row})} different tokens"
    if parting:
        gaps = [
            gap(plain, prompts[row] + reference[row][: same[row]], reference[row][same[row]], tokens[row][same[row]])
            for row in parting
        ]
        note += f"; {len(gaps)} part, {sum(turned)} at ties; logits {min(gaps):.2g} to {max(gaps):.2g} deviations apart"
    return sum(counted) / sum(map(len, reference)), note


def main() -> int:
    """Compare and print line by line."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    config = config_of("llama-3.2-1b" if device.type == "cuda" else "small", **WIDE)
    # Of weights that bfloat16 can hold, so that both dtypes compute the same model.
    rounded = random_model(config, device, torch.bfloat16)
    plain = copy.deepcopy(rounded).float()
    same = prompt(PREFIX, config.vocab_size, seed=-1)
    prompts = [same + prompt(length - PREFIX, config.vocab_size, seed=length) for length in LENGTHS]
    failed = False
    print("| dtype | tokens of | equal to float32 | texts |\n|---|---|---|---|")
    for model in (plain, rounded):
        exact = model.dtype == torch.float32
        for name, reference, tokens in ways(model, plain, prompts):
            share, note = compared(reference, prompts, tokens(), exact=exact)
            failed |= exact and share < 1
            print(f"| {str(model.dtype).removeprefix('torch.')} | {name} | {share:.1%} | {note} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
