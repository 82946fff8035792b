"""Every architecture that the graph engine runs, against transformers in float32."""

import copy
import functools

import pytest
import torch

from scripts.engine.cache import StaticCache
from scripts.engine.continuous import GraphBatching
from scripts.engine.decoder import Decoder
from scripts.engine.engine import GraphEngine
from scripts.engine.speculation import SpeculativeEngine
from scripts.runtime.models import Loaded, Process
from scripts.techniques.registry import load_facet
from tests.support import continuous_runs, families

NEW = 6
# Longer and shorter than the window, in one batch; they begin alike.
PROMPTS = [[7, 8, *((5 * place + 3 * length) % 300 + 3 for place in range(length))] for length in (3, 19, 9)]


@functools.cache
def model_of(name, quantization=None):
    model = families.model_of(name)
    if quantization:
        loaded = Loaded(model, Process(torch.device("cpu"), torch.float32), {})
        load_facet("quantization").after_load({"method": quantization}, loaded)
    return model


@functools.cache
def expected(name, quantization=None):
    """What transformers writes after each prompt by itself."""
    model, found = model_of(name, quantization), []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False, eos_token_id=None,
            pad_token_id=2,
        )  # fmt: skip
        found.append(out[0, len(prompt) :].tolist())
    assert len({token for tokens in found for token in tokens}) > NEW, "a model that repeats itself shows little"
    return found


def loaded_of(name, quantization=None):
    # Fusing changes where a model's weights lie.
    model = copy.deepcopy(model_of(name, quantization))
    return Loaded(model, Process(torch.device("cpu"), torch.float32), {}, draft=copy.deepcopy(model))


def by_engine(engine, batches):
    engine.reserve(batches, NEW)
    engine.limit(NEW, [])
    return [tokens[:NEW] for batch in batches for tokens in engine.generate(batch).tokens]


@pytest.mark.parametrize("name", families.FAMILIES)
class TestFamily:
    def test_logits_of_prefill_and_decode(self, name):
        model = loaded_of(name).model
        with torch.inference_mode():
            self.compare_logits(model, torch.tensor([PROMPTS[1]]))

    def compare_logits(self, model, ids):
        logits = model(input_ids=ids).logits[0]
        decoder = Decoder(model, 64)
        cache = StaticCache(len(decoder.layers), 1, 64, decoder.heads, torch.float32, decoder.device)
        first = ids.shape[1] - 4
        found = [decoder.logits(decoder.prefill(ids[:, :first], cache.rows(0, 1)))]
        for place in range(first, ids.shape[1]):
            at = torch.tensor([place], dtype=torch.int32)
            found.append(decoder.logits(decoder.decode(ids[0, place : place + 1], cache.rows(0, 1), at)))
        assert float(logits.std()) > 0.3
        torch.testing.assert_close(torch.cat(found), logits, rtol=1e-4, atol=1e-4)
        # Its own weights have become views, and it still computes the same.
        torch.testing.assert_close(model(input_ids=ids).logits[0], logits, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("shared_prefix", [False, True])
    def test_a_batch_of_unequal_lengths(self, name, shared_prefix):
        engine = GraphEngine(loaded_of(name), shared_prefix=shared_prefix, pad=2)
        assert by_engine(engine, [PROMPTS]) == expected(name)

    @pytest.mark.parametrize("settings", [{"draft": "draft", "tokens": 3}, {"prompt_lookup": 4}], ids=str)
    def test_speculation(self, name, settings):
        engine = SpeculativeEngine(loaded_of(name), settings, shared_prefix=False, pad=2)
        assert by_engine(engine, [[prompt] for prompt in PROMPTS]) == expected(name)

    def test_continuous_batching(self, name):
        engine = GraphBatching(loaded_of(name), pad=2, slots=2, prefill_tokens=64)
        assert continuous_runs.mixed(engine, PROMPTS, NEW) == continuous_runs.cut(expected(name), NEW)

    @pytest.mark.parametrize("quantization", ["int8_weight_only", "int4_weight_only"])
    def test_weights_multiplied_as_they_are_stored(self, name, quantization):
        engine = GraphEngine(loaded_of(name, quantization), shared_prefix=False, pad=2)
        assert by_engine(engine, [PROMPTS]) == expected(name, quantization)
