import pytest
import torch

import tests.support.triton_device  # noqa: F401
from scripts.kernels import reference, triton_packed
from scripts.kernels.reference import Heads
from tests.unit.kernels.test_triton_attention import HEADS, ODD, WAYS, cache_and_rope, difference

pytestmark = pytest.mark.usefixtures("where_kernels_run")
LENGTHS, SLOTS = [5, 1, 40, 16, 3], [2, 0, 5, 1, 3]


def compare(heads, lengths, slots, dtype=torch.float32, limit=1e-5, part=None):
    torch.manual_seed(0)
    keys, values, rope = cache_and_rope(7, heads, 96, dtype, part)
    qkv = torch.randn(sum(lengths), (heads.query + 2 * heads.key_value) * heads.width, dtype=dtype)
    positions = torch.cat([torch.arange(length) for length in lengths])
    rows = torch.cat([torch.full((length,), slot) for length, slot in zip(lengths, slots, strict=True)])
    expected_keys, expected_values = keys.clone(), values.clone()
    expected = reference.packed_attention(qkv, expected_keys, expected_values, positions, rows, heads, rope)
    found = triton_packed.packed_attention(qkv, keys, values, positions, rows, heads, rope)
    assert difference(found, expected) < limit
    assert torch.allclose(keys, expected_keys, rtol=limit, atol=limit)
    assert torch.equal(values, expected_values)


@pytest.mark.parametrize("heads", [HEADS[1], HEADS[3], ODD[0], ODD[3]], ids=str)
def test_prompts_that_stand_in_one_row_of_tokens_do_not_see_each_other(heads):
    compare(heads, LENGTHS, SLOTS)


@pytest.mark.parametrize("way", WAYS)
def test_layers_attend_in_ways_of_their_own(way):
    options, part = WAYS[way]
    compare(Heads(4, 2, 24, **options), LENGTHS, SLOTS, part=part)


def test_half_precision():
    compare(Heads(8, 2, 64), LENGTHS, SLOTS, torch.float16, 2e-3)


def test_padding_is_prompts_of_one_token():
    compare(Heads(4, 2, 32), [40, *[1] * 24], [3, *[6] * 24])


def test_the_cpus_attention_is_that_of_each_prompt_by_itself():
    heads = Heads(4, 2, 32)
    torch.manual_seed(1)
    keys, values, rope = cache_and_rope(6, heads, 96)
    qkv = torch.randn(sum(LENGTHS), 8 * 32)
    positions = torch.cat([torch.arange(length) for length in LENGTHS])
    rows = torch.cat([torch.full((length,), slot) for length, slot in zip(LENGTHS, SLOTS, strict=True)])
    alone_keys, alone_values = keys.clone(), values.clone()
    found = reference.packed_attention(qkv, keys, values, positions, rows, heads, rope)
    expected = [
        reference.prefill_attention(part, alone_keys[[slot]], alone_values[[slot]], 0, heads, rope, 1)
        for part, slot in zip(qkv.split(LENGTHS), SLOTS, strict=True)
    ]
    assert difference(found, torch.cat(expected)) < 1e-6
