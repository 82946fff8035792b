"""Keys and values in 8 bits: the kernels against plain torch, and that against attention over what is stored."""

import pytest
import torch

import tests.support.triton_device
from scripts.kernels import reference, triton_attention, triton_cache, triton_packed, triton_prefill
from scripts.kernels.parts import Heads
from scripts.kernels.quantised_cache import DTYPES, quantise, restore
from tests.support.cache_kernel import round_trip
from tests.unit.kernels.test_triton_attention import cache_and_rope, difference

pytestmark = pytest.mark.usefixtures("where_kernels_run")
DEVICE = tests.support.triton_device.DEVICE
FORMS = {"int8": triton_cache.INT8.value, "fp8": triton_cache.FP8_BITS.value}
# A GPU may join a product and a sum where the other rounds in between: a number is then now and then the next one.
LIMIT, NEXT = (1e-5, 0) if DEVICE == "cpu" else (5e-3, 1)

WAY_OF_HEADS = {"plain": {}, "window, cap and scale": {"window": 3, "cap": 2.0, "scale": 0.3}}
HALF = torch.float16 if DEVICE == "cpu" else torch.bfloat16  # which the interpreter cuts off and does not round


def vectors():
    torch.manual_seed(0)
    # Every number of fp8 times 2^-8 and what lies half-way between, whole steps of int8, zeros, tiny and large ones.
    codes = torch.arange(127, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    half_way = (codes[1:] + codes[:-1]) / 2
    exact = torch.cat([codes, half_way, torch.tensor([448.0, -448.0, 0.0])]).view(16, 16)
    exact = torch.cat([exact, torch.full((16, 16), 448.0)], dim=1)  # so that the scale is 1
    signs = torch.where(torch.arange(32) % 3 == 0, -1.0, 1.0)
    steps = torch.arange(-127, 129).view(8, 32) / 2
    steps[:, 0] = 127.0
    return torch.cat([exact * signs, steps, torch.randn(8, 32), torch.zeros(1, 32), 1e-35 * torch.randn(2, 32)])


@pytest.mark.parametrize("form", ["int8", "fp8", "fp8, converted by the GPU"])
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_numbers_and_scales_are_those_of_plain_torch(form, dtype):
    if form not in FORMS and not (DEVICE == "cuda" and torch.cuda.get_device_capability() >= (8, 9)):
        pytest.skip("needs a GPU that converts 8-bit floats")
    number = FORMS.get(form, triton_cache.FP8.value)
    x = vectors().to(dtype)
    stored = DTYPES[form.split(",")[0]]
    expected, expected_scales = quantise(x, stored)
    numbers, scales, back = torch.zeros_like(expected), torch.zeros_like(expected_scales), torch.zeros_like(x)
    given = numbers.view(torch.uint8) if number == triton_cache.FP8_BITS.value else numbers
    round_trip[(len(x),)](x, scales, given, back, 32, number)
    assert torch.equal(scales, expected_scales)
    assert torch.equal(numbers.float(), expected.float())
    assert torch.equal(back, restore(expected, expected_scales, dtype))
    assert difference(back[:24], x[:24]) < 0.05


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_number_is_kept_in_the_scale(form, bad):
    x = torch.randn(2, 32)
    x[1, 7] = bad
    numbers, scales, back = torch.zeros(2, 32, dtype=torch.int8), torch.zeros(2), torch.zeros(2, 32)
    given = numbers.view(torch.uint8) if form == "fp8" else numbers
    round_trip[(2,)](x, scales, given, back, 32, FORMS[form])
    assert scales.isfinite().tolist() == [True, False]


def quantised_cache(rows, heads, positions, stored, dtype=torch.float32):
    keys, values, rope = cache_and_rope(rows, heads, positions, dtype)
    (keys, key_scales), (values, value_scales) = quantise(keys, stored), quantise(values, stored)
    return keys, values, (key_scales, value_scales), rope


def copies(keys, values, scales):
    return keys.clone(), values.clone(), (scales[0].clone(), scales[1].clone())


def same(found, expected):
    """The same caches, but for a number that rounding has turned to the next one."""
    for one, other in zip((*found[:2], *found[2]), (*expected[:2], *expected[2]), strict=True):
        if one.dtype == torch.float32:
            torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
        else:
            steps = (one.view(torch.int8).int() - other.view(torch.int8).int()).abs()
            assert int(steps.max()) <= NEXT
            assert float((steps > 0).float().mean()) < 1e-3


def compare_decode(heads, new, positions, length, stored, dtype=torch.float32, limit=LIMIT, **options):
    torch.manual_seed(0)
    *cache, rope = quantised_cache(len(positions), heads, length, stored, dtype)
    other = copies(*cache)
    qkv = torch.randn(len(positions) * new, (heads.query + 2 * heads.key_value) * heads.width, dtype=dtype)
    positions = torch.tensor(positions, dtype=torch.int32)
    expected = reference.decode_attention(qkv, *other[:2], positions, heads, rope, scales=other[2])
    for row, position in enumerate(positions.tolist()):  # what is behind may be anything
        for each in (*cache[2], *other[2]):
            each[row, :, position + new :] = 3.0e38
    found = triton_attention.decode_attention(qkv, *cache[:2], positions, heads, rope, scales=cache[2], **options)
    assert difference(found, expected) < limit
    same(cache, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("heads", [Heads(6, 2, 64), Heads(7, 1, 24)], ids=str)
@pytest.mark.parametrize(("new", "per_head"), [(1, True), (1, False), (3, False)])
def test_new_tokens_read_what_is_stored(heads, dtype, new, per_head):
    compare_decode(heads, new, [0, 37], 64, DTYPES[dtype], per_head=per_head)


@pytest.mark.parametrize(("dtype", "new"), [("fp8", 1), ("int8", 5)])
def test_a_long_cache_is_split(dtype, new):
    compare_decode(Heads(3, 1, 32), new, [1, 300, 1024 - new], 1024, DTYPES[dtype], per_head=False)
    assert triton_attention.split_count(3, 1024) > 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("new", "per_head"), [(1, True), (1, False), (5, False)])
def test_windows_and_caps_over_several_tiles(dtype, new, per_head):
    tile = triton_attention.TileConfig(16, 4, 1)
    heads = Heads(4, 2, 24, window=19, cap=2.0, scale=0.3)
    compare_decode(heads, new, [2, 64 - new], 64, DTYPES[dtype], per_head=per_head, tile=tile)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("new", [1, 3])
def test_half_precision(dtype, new):
    compare_decode(Heads(8, 2, 64), new, [0, 37, 150], 192, DTYPES[dtype], dtype=torch.float16, limit=5e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", WAY_OF_HEADS)
@pytest.mark.parametrize("start", [0, 7])
def test_prompts_read_what_they_store(way, dtype, start):
    heads = Heads(4, 2, 24, **WAY_OF_HEADS[way])
    torch.manual_seed(0)
    *cache, rope = quantised_cache(4, heads, 64, DTYPES[dtype])
    other, rows = copies(*cache), slice(1, 3)
    qkv = torch.randn(2 * 21, 8 * 24)

    def run(operations, keys, values, scales):
        parts = keys[rows], values[rows], start, heads, rope, 2
        return operations.prefill_attention(qkv.clone(), *parts, scales=(scales[0][rows], scales[1][rows]))

    expected = run(reference, *other)
    assert difference(run(triton_prefill, *cache), expected) < LIMIT
    same(cache, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", WAY_OF_HEADS)
def test_packed_prompts_read_what_they_store(way, dtype):
    heads = Heads(4, 2, 24, **WAY_OF_HEADS[way])
    lengths, slots = [5, 1, 40, 16, 3], [2, 0, 5, 1, 3]
    torch.manual_seed(0)
    *cache, rope = quantised_cache(7, heads, 96, DTYPES[dtype])
    other = copies(*cache)
    qkv = torch.randn(sum(lengths), 8 * 24)
    positions = torch.cat([torch.arange(length) for length in lengths])
    rows = torch.cat([torch.full((length,), slot) for length, slot in zip(lengths, slots, strict=True)])
    expected = reference.packed_attention(qkv, *other[:2], positions, rows, heads, rope, scales=other[2])
    found = triton_packed.packed_attention(qkv.clone(), *cache[:2], positions, rows, heads, rope, scales=cache[2])
    assert difference(found, expected) < LIMIT
    same(cache, other)


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_torch_attends_to_what_is_stored(dtype):
    """By another computation: rounded keys and values written out, and a softmax over them."""
    heads, length = Heads(4, 2, 24), 9
    torch.manual_seed(0)
    *cache, rope = quantised_cache(1, heads, 64, DTYPES[dtype])
    keys, values, scales = cache
    qkv = torch.randn(length + 1, 8 * 24)
    prompt = reference.prefill_attention(qkv[:length], keys, values, 0, heads, rope, 1, scales=scales)
    at = torch.tensor([length], dtype=torch.int32)
    last = reference.decode_attention(qkv[length:], keys, values, at, heads, rope, scales=scales)
    q, k, v = qkv.view(length + 1, 8, 24).split([4, 2, 2], dim=1)
    cos, sin = rope.cos[: length + 1, None], rope.sin[: length + 1, None]

    def rotated(x):
        return x * cos + torch.cat([-x[..., 12:], x[..., :12]], dim=-1) * sin

    k, v = (restore(*quantise(each, DTYPES[dtype]), torch.float32) for each in (rotated(k), v))
    k, v = k.repeat_interleave(2, dim=1), v.repeat_interleave(2, dim=1)
    scores = torch.einsum("thd,nhd->htn", rotated(q), k) * 24**-0.5
    scores = scores.masked_fill(torch.ones(length + 1, length + 1).triu(1).bool(), float("-inf"))
    expected = torch.einsum("htn,nhd->thd", scores.softmax(-1), v).reshape(length + 1, -1)
    assert difference(torch.cat([prompt, last]), expected) < 1e-5
