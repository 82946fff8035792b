import pytest
import torch

import tests.support.triton_device  # noqa: F401
from scripts.kernels import reference, triton_attention, triton_prefill
from scripts.kernels.reference import Heads, Norm, Rope
from scripts.kernels.triton_norm import norm_heads, rms_norm
from scripts.kernels.triton_rotary import padded_width

pytestmark = pytest.mark.usefixtures("where_kernels_run")
HEADS = [Heads(4, 4, 32), Heads(6, 2, 64), Heads(32, 8, 64), Heads(8, 2, 128)]
# Widths that are no power of two, one below the 16 that tl.dot takes, and seven query heads a key-value head.
ODD = [Heads(4, 2, 80), Heads(2, 2, 96), Heads(7, 1, 24), Heads(6, 3, 8), Heads(2, 1, 112)]


def difference(a, b):
    return float((a.float() - b.float()).norm() / b.float().norm())


# How layers attend beside the plain way: windows, capped scores, a scale of their own, part of a head rotated.
WAYS = {
    "window": ({"window": 11}, None),
    "cap": ({"cap": 1.5}, None),
    "window, cap and scale": ({"window": 3, "cap": 2.0, "scale": 0.3}, None),
    "part rotated": ({}, 0.5),
}


def cache_and_rope(rows, heads, positions, dtype=torch.float32, part=None):
    shape = (rows, heads.key_value, positions, heads.width)
    rotated = heads.width if part is None else int(part * heads.width) // 2 * 2
    halves, rest = torch.randn(2, positions, rotated // 2), torch.ones(positions, heads.width - rotated)
    rope = Rope(
        torch.cat([halves[0], halves[0], rest], dim=1), torch.cat([halves[1], halves[1], 0 * rest], dim=1), rotated
    )
    return torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype), rope


def compare(heads, new, positions, length, dtype=torch.float32, limit=1e-5, part=None, **options):
    torch.manual_seed(0)
    keys, values, rope = cache_and_rope(len(positions), heads, length, dtype, part)
    qkv = torch.randn(len(positions) * new, (heads.query + 2 * heads.key_value) * heads.width, dtype=dtype)
    positions = torch.tensor(positions, dtype=torch.int32)
    expected_keys, expected_values = keys.clone(), values.clone()
    expected = reference.decode_attention(qkv, expected_keys, expected_values, positions, heads, rope)
    # What is behind a row's last token may be anything.
    for row, position in enumerate(positions.tolist()):
        for cached in (keys, values, expected_keys, expected_values):
            cached[row, :, position + new :] = float("nan")
    found = triton_attention.decode_attention(qkv, keys, values, positions, heads, rope, **options)
    assert difference(found, expected) < limit
    for cached, other in ((keys, expected_keys), (values, expected_values)):
        assert torch.allclose(cached, other, rtol=limit, atol=limit, equal_nan=True)


@pytest.mark.parametrize("per_head", [True, False])
@pytest.mark.parametrize("heads", HEADS, ids=str)
def test_one_new_token_sees_its_own_row_alone_up_to_its_position(heads, per_head):
    compare(heads, 1, [0, 37, 190], 192, per_head=per_head)


@pytest.mark.parametrize("heads", HEADS[:2], ids=str)
@pytest.mark.parametrize("new", [2, 5, 16])
def test_each_of_a_few_new_tokens_sees_those_before_it(heads, new):
    compare(heads, new, [0, 37, 192 - new], 192)


@pytest.mark.parametrize("new", [1, 5])
def test_a_long_cache_is_split_and_combined(new):
    compare(Heads(6, 2, 32), new, [0, 1, 300, 1024 - new], 1024)
    assert triton_attention.split_count(8, 1024) == 4


@pytest.mark.parametrize("new", [1, 3])
def test_half_precision(new):
    compare(Heads(8, 2, 64), new, [0, 37, 150], 192, torch.float16, 2e-3)


def test_a_program_loops_over_tiles():
    tile = triton_attention.TileConfig(16, 4, 1)
    compare(Heads(4, 2, 32), 1, [5, 16, 70], 128, per_head=True, tile=tile)
    compare(Heads(4, 2, 32), 1, [5, 16, 70], 128, per_head=False, tile=tile)


@pytest.mark.parametrize("heads", ODD, ids=str)
@pytest.mark.parametrize(("new", "per_head"), [(1, True), (1, False), (3, False)])
def test_a_head_may_be_of_any_width(heads, new, per_head):
    compare(heads, new, [0, 37], 64, per_head=per_head)


@pytest.mark.parametrize("new", [1, 3])
def test_a_long_cache_is_split_whatever_the_width(new):
    compare(Heads(3, 1, 24), new, [0, 1024 - new], 1024, per_head=False)
    assert triton_attention.split_count(2, 1024) > 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("new", "per_head", "length"), [(1, True, 64), (1, False, 64), (5, False, 64), (5, None, 1024)]
)
def test_layers_attend_in_ways_of_their_own(way, new, per_head, length):
    options, part = WAYS[way]
    tile = triton_attention.TileConfig(16, 4, 1) if length == 64 else None
    compare(Heads(6, 2, 24, **options), new, [0, 2, 37, length - new], length, part=part, per_head=per_head, tile=tile)


def test_a_window_makes_fewer_splits_of_a_long_cache():
    compare(Heads(3, 1, 32, window=600), 1, [0, 580, 1000], 1024, per_head=False)
    compare(Heads(3, 1, 32, window=600), 3, [0, 598, 1000], 1024)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("start", [0, 7])
def test_prompts_are_read_in_ways_of_their_own(way, start):
    options, part = WAYS[way]
    heads = Heads(4, 2, 24, **options)
    torch.manual_seed(0)
    keys, values, rope = cache_and_rope(2, heads, 64, part=part)
    qkv = torch.randn(2 * 21, 8 * 24)
    expected_keys, expected_values = keys.clone(), values.clone()
    expected = reference.prefill_attention(qkv, expected_keys, expected_values, start, heads, rope, 2)
    found = triton_prefill.prefill_attention(qkv, keys, values, start, heads, rope, 2)
    assert difference(found, expected) < 1e-5
    assert difference(keys, expected_keys) < 1e-6
    assert torch.equal(values, expected_values)


def test_what_lies_behind_a_head_in_the_cache_stays_as_it_is():
    """A tile is wider than the head: what it holds beyond is the next position's, or another head's."""
    heads = Heads(2, 2, 24)
    torch.manual_seed(0)
    keys, values, rope = cache_and_rope(2, heads, 64)
    before = keys.clone()
    triton_attention.decode_attention(
        torch.randn(2, 6 * 24), keys, values, torch.tensor([3, 63], dtype=torch.int32), heads, rope
    )
    changed = (keys != before).any(-1)  # [rows, heads, positions]
    assert changed.nonzero().tolist() == [[0, 0, 3], [0, 1, 3], [1, 0, 63], [1, 1, 63]]


def test_a_power_of_two_needs_no_padding():
    assert [padded_width(width) for width in (16, 64, 128, 256)] == [16, 64, 128, 256]
    assert [padded_width(width) for width in (8, 24, 80, 96, 112, 192)] == [16, 32, 128, 128, 128, 256]


def test_more_new_tokens_than_it_takes_are_refused():
    with pytest.raises(ValueError, match="up to 16"):
        compare(Heads(4, 4, 32), 17, [0], 64)


@pytest.mark.parametrize("heads", [*HEADS, *ODD], ids=str)
@pytest.mark.parametrize("start", [0, 7])
def test_a_prompt_is_written_into_a_part_of_the_cache(heads, start):
    torch.manual_seed(0)
    keys, values, rope = cache_and_rope(4, heads, 64)
    qkv = torch.randn(2 * 13, (heads.query + 2 * heads.key_value) * heads.width)
    expected_keys, expected_values = keys.clone(), values.clone()
    part = slice(1, 3)
    expected = reference.prefill_attention(qkv, expected_keys[part], expected_values[part], start, heads, rope, 2)
    found = triton_prefill.prefill_attention(qkv, keys[part], values[part], start, heads, rope, 2)
    assert difference(found, expected) < 1e-5
    assert difference(keys, expected_keys) < 1e-6
    assert torch.equal(values, expected_values)


@pytest.mark.parametrize("columns", [64, 96, 2048])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-6), (torch.float16, 1e-3)])
@pytest.mark.parametrize("offset", [False, True])
def test_rms_norm(columns, dtype, limit, offset):
    x, norm = torch.randn(5, columns, dtype=dtype), Norm(torch.randn(columns, dtype=dtype), 1e-5, offset)
    residual = torch.randn(5, columns, dtype=dtype)
    for options in ({}, {"residual": residual}):
        assert difference(rms_norm(x, norm, **options), reference.rms_norm(x, norm, **options)) < limit


@pytest.mark.parametrize("offset", [False, True])
def test_heads_are_normed_each_by_itself(offset):
    heads = Heads(3, 2, 24)
    qkv = torch.randn(4, 7 * 24)
    norms = [Norm(torch.randn(24), eps, offset) for eps in (1e-5, 0.5)]
    expected = reference.norm_heads(qkv.clone(), heads, *norms)
    assert torch.equal(expected[:, 5 * 24 :], qkv[:, 5 * 24 :])
    assert difference(norm_heads(qkv, heads, *norms), expected) < 1e-6
