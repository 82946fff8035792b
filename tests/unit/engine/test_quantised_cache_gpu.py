"""Keys and values in 8 bits with compiled kernels in CUDA graphs, against transformers with a cache rounded alike."""

import copy

import pytest
import torch

from scripts.engine.continuous import GraphBatching
from scripts.engine.engine import GraphEngine
from scripts.engine.speculation import SpeculativeEngine
from scripts.kernels.quantised_cache import DTYPES
from scripts.runtime.models import Loaded, Process
from scripts.runtime.serving import Request
from tests.support import families
from tests.support.rounded_cache import rounded_tokens

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU; there is none here"),
]
NEW = 8
PROMPTS = [[7, 8, *((5 * place + 3 * length) % 300 + 3 for place in range(length))] for length in (3, 40, 9)]


def loaded_of(model, dtype):
    facets = {"kv_cache": {"dtype": dtype}}
    return Loaded(copy.deepcopy(model), Process(torch.device("cuda", 0), model.dtype), facets)


def by_engine(model, dtype, rows=1, shared_prefix=False, speculation=None):
    loaded, options = loaded_of(model, dtype), {"shared_prefix": shared_prefix, "pad": 2}
    engine = SpeculativeEngine(loaded, speculation, **options) if speculation else GraphEngine(loaded, **options)
    batches = [PROMPTS[first : first + rows] for first in range(0, len(PROMPTS), rows)]
    engine.reserve(batches, NEW)
    engine.limit(NEW, [])
    assert engine.cache.layers[0].keys.dtype == DTYPES[dtype]
    return [row[:NEW] for batch in batches for row in engine.generate(batch).tokens]


def by_batching(model, dtype):
    engine = GraphBatching(loaded_of(model, dtype), pad=2, slots=2, prefill_tokens=64)
    engine.reserve(60)
    for number, prompt in enumerate(PROMPTS):
        engine.submit(Request(number, prompt, NEW))
    written = {}
    for events in engine.run():
        for key, token, _ in events:
            written.setdefault(key, []).append(token)
    return [written[number] for number in range(len(PROMPTS))]


def alike(found, expected):
    """The share of tokens before the first that differs in each row."""
    same = 0
    for mine, other in zip(found, expected, strict=True):
        same += next((n for n, pair in enumerate(zip(mine, other, strict=True)) if pair[0] != pair[1]), len(other))
    return same / (NEW * len(PROMPTS))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["llama", "gemma2", "gemma3"])
def test_the_tokens_are_those_of_a_rounded_cache(name, dtype):
    model = families.model_of(name).to("cuda")
    expected = rounded_tokens(model, PROMPTS, NEW, dtype)
    ways = [{"rows": 3}, {"rows": 3, "shared_prefix": True}, {"speculation": {"prompt_lookup": 4}}]
    for way in ways:
        # A number that another order of sums turns to the next step can turn a token; a fault turns nearly all.
        assert alike(by_engine(model, dtype, **way), expected) > 0.8, way
    assert alike(by_batching(model, dtype), expected) > 0.8


@pytest.mark.parametrize("dtype", DTYPES)
def test_sixteen_bits_run_too(dtype):
    model = families.model_of("gemma3").to("cuda").bfloat16()
    expected = rounded_tokens(model, PROMPTS, NEW, dtype)
    assert alike(by_engine(model, dtype, rows=3), expected) > 0.25
