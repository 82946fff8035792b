"""The graph engine with keys and values in 8 bits, against transformers with a cache rounded alike."""

import copy
import functools

import pytest
import torch

from scripts.engine.cache import StaticCache
from scripts.engine.continuous import GraphBatching
from scripts.engine.decoder import Decoder
from scripts.engine.engine import GraphEngine
from scripts.engine.speculation import SpeculativeEngine
from scripts.kernels.parts import Heads
from scripts.kernels.quantised_cache import DTYPES
from scripts.runtime import caches, finite
from scripts.runtime.models import Loaded, Process
from scripts.techniques.registry import load_facet
from tests.support import continuous_runs, families
from tests.support.rounded_cache import RoundedCache, rounded_tokens

NEW = 6
# Longer and shorter than the window, in one batch; they begin alike.
PROMPTS = [[7, 8, *((5 * place + 3 * length) % 300 + 3 for place in range(length))] for length in (3, 19, 9)]
SOME = ["llama", "qwen2", "gemma2", "gemma3", "phi4"]


@functools.cache
def model_of(name):
    return families.model_of(name)


@functools.cache
def expected(name, dtype):
    return rounded_tokens(model_of(name), PROMPTS, NEW, dtype)


def loaded_of(name, dtype):
    # Fusing changes where a model's weights lie.
    model, facets = copy.deepcopy(model_of(name)), {"kv_cache": {"dtype": dtype}}
    return Loaded(model, Process(torch.device("cpu"), torch.float32), facets, draft=copy.deepcopy(model))


def by_engine(engine, batches):
    engine.reserve(batches, NEW)
    engine.limit(NEW, [])
    assert {layer.keys.dtype for layer in engine.cache.layers} <= set(DTYPES.values())
    return [tokens[:NEW] for batch in batches for tokens in engine.generate(batch).tokens]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", families.FAMILIES)
def test_logits_of_prefill_and_decode(name, dtype):
    model, ids = loaded_of(name, dtype).model, torch.tensor([PROMPTS[1]])
    with torch.inference_mode():
        logits = model(input_ids=ids, past_key_values=RoundedCache(model.config, dtype)).logits[0]
        plain = model(input_ids=ids).logits[0]
        decoder = Decoder(model, 64)
        device = decoder.device
        cache = StaticCache(len(decoder.layers), 1, 64, decoder.heads, torch.float32, device, DTYPES[dtype])
        first = ids.shape[1] - 4
        found = [decoder.logits(decoder.prefill(ids[:, :first], cache.rows(0, 1)))]
        for place in range(first, ids.shape[1]):
            at = torch.tensor([place], dtype=torch.int32)
            found.append(decoder.logits(decoder.decode(ids[0, place : place + 1], cache.rows(0, 1), at)))
    found = torch.cat(found)
    # Another order of sums can turn a number to the next step, which moves logits little.
    torch.testing.assert_close(found, logits, rtol=1e-3, atol=1e-3)
    assert (found - plain).abs().max() > 5 * (found - logits).abs().max(), "keys and values were not rounded"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SOME)
class TestTokens:
    @pytest.mark.parametrize("shared_prefix", [False, True])
    def test_a_batch_of_unequal_lengths(self, name, dtype, shared_prefix):
        engine = GraphEngine(loaded_of(name, dtype), shared_prefix=shared_prefix, pad=2)
        assert by_engine(engine, [PROMPTS]) == expected(name, dtype)

    @pytest.mark.parametrize("settings", [{"draft": "draft", "tokens": 3}, {"prompt_lookup": 4}], ids=str)
    def test_speculation(self, name, dtype, settings):
        engine = SpeculativeEngine(loaded_of(name, dtype), settings, shared_prefix=False, pad=2)
        assert by_engine(engine, [[prompt] for prompt in PROMPTS]) == expected(name, dtype)

    def test_continuous_batching(self, name, dtype):
        engine = GraphBatching(loaded_of(name, dtype), pad=2, slots=2, prefill_tokens=64)
        assert continuous_runs.mixed(engine, PROMPTS, NEW) == continuous_runs.cut(expected(name, dtype), NEW)
        loaded, value = engine.loaded, {"dtype": dtype, "scales": "token_and_head"}
        facts = load_facet("kv_cache").evidence(value, loaded, engine.observe(PROMPTS, NEW))
        assert facts["stored_dtype"] == str(DTYPES[dtype]).removeprefix("torch.")


def test_rounding_is_seen_in_the_tokens():
    assert any(expected(name, "fp8") != rounded_free(name) for name in SOME)


def rounded_free(name):
    ids = [torch.tensor([prompt]) for prompt in PROMPTS]
    model = model_of(name)
    options = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 2}
    return [
        model.generate(input_ids=each, attention_mask=torch.ones_like(each), **options)[0, each.shape[1] :].tolist()
        for each in ids
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_are_those_of_the_tensors(dtype):
    heads = Heads(4, 2, 48)
    cache = StaticCache(3, 5, 100, heads, torch.float32, torch.device("cpu"), DTYPES[dtype])
    held = caches.held(cache)
    assert held.bytes == 5 * StaticCache.row_bytes(3, 100, heads, torch.float32, DTYPES[dtype])
    assert held.bytes == 3 * 2 * 5 * 2 * 128 * (48 + 4)
    assert (held.positions, held.plain_positions) == (5 * 128, 0)
    plain = caches.held(StaticCache(3, 5, 100, heads, torch.float32, torch.device("cpu")))
    assert plain.bytes == 5 * StaticCache.row_bytes(3, 100, heads, torch.float32)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_is_seen_in_the_scales(dtype, bad):
    from scripts.kernels.quantised_cache import write

    cache = StaticCache(2, 1, 64, Heads(2, 2, 8), torch.float32, torch.device("cpu"), DTYPES[dtype])
    assert finite.of_cache(cache.layers) is None
    layer, vector = cache.layers[1], torch.zeros(2, 8)
    vector[1, 3] = bad
    write(layer.values, layer.scales[1], (0, slice(None), 5), vector)
    assert finite.of_cache(cache.layers) == "in what layer 1 was given"
