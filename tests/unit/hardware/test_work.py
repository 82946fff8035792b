from types import SimpleNamespace

import pytest
import torch

from scripts.hardware.work import Batch, Model, batch_work, of_samples
from scripts.inference.architecture import of_checkpoint
from scripts.inference.loading import load
from scripts.runtime.models import Process
from scripts.techniques.costs import costs_of
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import settings

SHAPE = {
    "layers": 2, "hidden": 128, "heads": 4, "kv_heads": 2, "head_dim": 32, "intermediate": 128, "vocabulary": 320,
    "tied_embeddings": False,
}  # fmt: skip
LINEAR = 2 * (128 * 128 * 2 + 2 * 64 * 128 + 3 * 128 * 128)
HEAD = 320 * 128
KV = 2 * 2 * 2 * 32 * 4  # bytes a position, float32
WEIGHTS = 4 * (LINEAR + 2 * 2 * 128 + HEAD + 128)
MODEL = Model(SHAPE, costs_of({}), "float32")


def counted_flops(model, generate):
    """What torch's own counter sees."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        generate(model)
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    directory = make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "plain")
    assert of_checkpoint(directory).items() >= SHAPE.items()
    loaded = load(directory, settings(), Process(torch.device("cpu"), torch.float32), None).model
    loaded.set_attn_implementation("eager")
    return loaded


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("requests", [1, 3])
def test_operations_are_those_that_torch_counts(model, cache, requests):
    ids = torch.randint(5, 300, (requests, 40))
    options = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False, "use_cache": cache}
    seen = counted_flops(model, lambda m: m.generate(ids, attention_mask=torch.ones_like(ids), **options))
    work = batch_work(MODEL, Batch(requests, 40, 8), cache=cache).total
    # torch counts attention over masked positions too, which are a little here.
    assert work.flops == pytest.approx(seen, rel=0.05)


def test_a_decode_step_reads_every_weight_and_the_cache_once():
    two, three = (batch_work(MODEL, Batch(1, 10, n), cache=True) for n in (2, 3))
    assert two.decode.bytes == WEIGHTS + 128 * 4 + KV * 11
    assert three.decode.bytes - two.decode.bytes == WEIGHTS + 128 * 4 + KV * 12
    assert two.decode.flops == 2 * (LINEAR + HEAD) + 4 * 2 * 128 * 11
    assert two.prefill == three.prefill
    assert two.prefill.bytes == WEIGHTS + 10 * (128 * 4 + KV)


def test_a_batch_shares_the_weights_and_not_the_caches():
    one, eight = (batch_work(MODEL, Batch(n, 10, 5), cache=True).decode for n in (1, 8))
    assert eight.flops == 8 * one.flops
    assert eight.bytes - one.bytes == pytest.approx(7 * (one.bytes - 4 * WEIGHTS))


def test_without_a_cache_each_step_is_a_prefill_of_the_whole_sequence():
    work = batch_work(MODEL, Batch(1, 10, 3), cache=False)
    prefills = [batch_work(MODEL, Batch(1, n, 1), cache=False).prefill for n in (10, 11, 12)]
    assert work.total.flops == sum(prefill.flops for prefill in prefills)
    assert work.total.bytes == sum(prefill.bytes for prefill in prefills)


def test_quantised_weights_are_less_to_read_and_as_much_to_multiply():
    packed = Model(SHAPE, costs_of({"quantization": {"method": "int8"}}), "float32")
    whole, small = (batch_work(m, Batch(1, 10, 5), cache=True).decode for m in (MODEL, packed))
    assert small.flops == whole.flops
    rows = 2 * (128 + 64 + 64 + 128 + 3 * 128)
    assert whole.bytes - small.bytes == 4 * (3 * LINEAR - 4 * rows)


def test_a_verification_reads_the_weights_once_for_all_that_it_verifies():
    # 12 new tokens in 3 rounds, 12 drafted: 4 a round.
    work = batch_work(MODEL, Batch(1, 10, 12, rounds=3, drafted=12), cache=True)
    plain = batch_work(MODEL, Batch(1, 10, 12), cache=True)
    assert work.decode.bytes == pytest.approx(2 * WEIGHTS, rel=0.05)
    assert plain.decode.bytes == pytest.approx(11 * WEIGHTS, rel=0.05)
    # Every drafted token is computed, whether it is kept or not: 10 + 4, then twice 1 + 4 positions.
    assert work.total.flops == pytest.approx(2 * LINEAR * 24 + 2 * HEAD * 15, rel=0.05)


def test_the_draft_reads_its_weights_for_every_token_that_it_drafts():
    draft = Model(SHAPE | {"layers": 1}, costs_of({}), "float32")
    batch = Batch(1, 10, 12, rounds=3, drafted=12)
    alone, both = (batch_work(MODEL, batch, cache=True, draft=d).total for d in (None, draft))
    assert both.bytes - alone.bytes == pytest.approx(12 * draft.weight_bytes, rel=0.05)
    assert both.flops > alone.flops


def test_a_round_without_a_proposal_asks_nothing_of_the_draft():
    batch = Batch(1, 10, 4, rounds=4, drafted=0)
    draft = Model(SHAPE, costs_of({}), "float32")
    assert batch_work(MODEL, batch, cache=True, draft=draft) == batch_work(MODEL, batch, cache=True)


NO_COUNTS = {"rounds": None, "drafted_tokens": None, "prefix_tokens": None}


def test_requests_of_a_batch_are_padded_to_the_longest():
    def sample(batch, prompt, new, **counts):
        return SimpleNamespace(batch=batch, prompt_tokens=prompt, new_tokens=new, **(NO_COUNTS | counts))

    samples = [sample(0, 10, 4), sample(1, 30, 2, prefix_tokens=7), sample(0, 12, 3),
               sample(2, 9, 6, rounds=2, drafted_tokens=8)]  # fmt: skip
    assert of_samples(samples) == [Batch(2, 12, 4), Batch(1, 30, 2, cached=7), Batch(1, 9, 6, 2, 8)]


def test_a_kept_prefix_is_read_and_not_computed_again():
    whole, rest, shorter = (
        batch_work(MODEL, batch, cache=True) for batch in (Batch(1, 30, 4), Batch(1, 30, 4, cached=10), Batch(1, 20, 4))
    )
    assert rest.decode == whole.decode
    assert shorter.prefill.flops < rest.prefill.flops < whole.prefill.flops  # its tokens attend to the prefix too
    assert shorter.prefill.bytes < rest.prefill.bytes <= whole.prefill.bytes
