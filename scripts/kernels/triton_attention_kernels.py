"""The kernels of decode attention: a few new tokens of each row over a static KV cache.

Each rotates, stores and attends. ``attend_per_head`` gives a program one query head; ``attend_per_group`` gives it the
query heads that share a key-value head, so that each key is read once, and one split of the cache; ``combine_splits``
then merges the splits (flash-decoding; Dao et al., 2023). W, a padded width, and R, how much of it is rotated, are
explained in ``triton_rotary``. WINDOW is how many positions a token sees, itself among them, and 0 for all before it.
FORM is how the cache is stored, as ``triton_cache`` has it.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.triton_cache import PLAIN, unpacked, write_one, write_rows
from scripts.kernels.triton_rotary import head_mask, load_head, rotate


@triton.jit
def capped(scores, CAP: tl.constexpr):
    """CAP * tanh(score / CAP); the scores as they are where CAP is 0. Both in units of log2(e)."""
    if CAP > 0:
        scores = CAP - 2.0 * CAP / (1.0 + tl.exp2(scores * (2.0 * 1.4426950408889634 / CAP)))
    return scores


@triton.jit
def online_softmax(q, k, v, visible, scale, row_max, total, acc, CAP: tl.constexpr, k_scale=None, v_scale=None):
    """Take keys and values [N, D] into a running softmax: of each query the largest score, the sum, the result.

    Those of a cache in 8 bits have scales, [N], which multiply scores and weights: far fewer than keys and values.
    """
    scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
    if k_scale is not None:
        scores = scores * k_scale[None, :]
    scores = capped(scores, CAP)
    scores = tl.where(visible, scores, float("-inf"))
    new_max = tl.maximum(row_max, tl.max(scores, 1))
    rescale = tl.exp2(row_max - new_max)
    weights = tl.exp2(scores - new_max[:, None])
    total = total * rescale + tl.sum(weights, 1)
    if v_scale is not None:
        weights = weights * v_scale[None, :]
    acc = tl.dot(weights.to(v.dtype), v, acc * rescale[:, None], input_precision="ieee")
    return new_max, total, acc


@triton.jit
def attend_per_head(
    qkv, keys, values, key_scales, value_scales, positions, cos, sin, out, scale, row_stride, head_stride,
    GROUP: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, R: tl.constexpr, WINDOW: tl.constexpr,
    CAP: tl.constexpr, FORM: tl.constexpr, BLOCK: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    """One query head, one new token: no shared memory, and all loads in flight at once.

    The heads of a group read the same keys, which the L2 cache serves; meant for a few rows, where time is latency.
    """
    query = tl.program_id(0)
    row = tl.program_id(1)
    head = query // GROUP
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    length = tl.load(positions + row)
    d = tl.arange(0, W)
    n = tl.arange(0, BLOCK)
    low = 0
    if WINDOW > 0:
        low = tl.maximum(length - WINDOW + 1, 0)
        n += low
    begins = row.to(tl.int64) * row_stride + head * head_stride
    keys += begins
    values += begins
    at = n[:, None] * D + d[None, :]
    old = head_mask((n < length)[:, None], d[None, :], D, W)
    k = tl.load(keys + at, mask=old, other=0.0)
    v = tl.load(values + at, mask=old, other=0.0)
    if FORM != PLAIN:
        key_scales += begins // D
        value_scales += begins // D
        k_scale = tl.load(key_scales + n, mask=n < length, other=0.0)
        v_scale = tl.load(value_scales + n, mask=n < length, other=0.0)
    angle_cos = load_head(cos + length * D + d, d, D, W)
    angle_sin = load_head(sin + length * D + d, d, D, W)
    first_half = d < R // 2
    other_half = tl.where(first_half, d + R // 2, d - R // 2)
    new = qkv + row.to(tl.int64) * ((GROUP + 2) * KV * D)
    k_at = new + (GROUP * KV + head) * D
    q = load_head(new + query * D + d, d, D, W)
    q_partner = load_head(new + query * D + other_half, d, D, W)
    k_new = load_head(k_at + d, d, D, W)
    k_partner = load_head(k_at + other_half, d, D, W)
    v_new = load_head(k_at + KV * D + d, d, D, W)
    q = rotate(q, q_partner, angle_cos, angle_sin, first_half)
    k_new = rotate(k_new, k_partner, angle_cos, angle_sin, first_half)
    first_of_group = query % GROUP == 0
    writes = (d < D) & first_of_group
    k_new = write_one(k_new, keys + length * D + d, key_scales, length, writes, first_of_group, FORM)
    v_new = write_one(v_new, values + length * D + d, value_scales, length, writes, first_of_group, FORM)
    q = q.to(tl.float32) * scale
    # The new token comes first, so that the running maximum is finite.
    row_max = capped(tl.sum(q * k_new.to(tl.float32), 0), CAP)
    total = tl.full((), 1.0, tl.float32)
    acc = v_new.to(tl.float32)
    for first in tl.range(0, length - low, BLOCK):
        following = first + BLOCK + n
        later = head_mask((following < length)[:, None], d[None, :], D, W)
        at = following[:, None] * D + d[None, :]
        k_next = tl.load(keys + at, mask=later, other=0.0)
        v_next = tl.load(values + at, mask=later, other=0.0)
        if FORM != PLAIN:
            k_scale_next = tl.load(key_scales + following, mask=following < length, other=0.0)
            v_scale_next = tl.load(value_scales + following, mask=following < length, other=0.0)
            scores = capped(tl.sum(unpacked(k, q, FORM) * q[None, :], 1) * k_scale, CAP)
        else:
            scores = capped(tl.sum(k.to(tl.float32) * q[None, :], 1), CAP)
        scores = tl.where(first + n < length, scores, float("-inf"))
        new_max = tl.maximum(row_max, tl.max(scores, 0))
        rescale = tl.exp2(row_max - new_max)
        weights = tl.exp2(scores - new_max)
        total = total * rescale + tl.sum(weights, 0)
        if FORM != PLAIN:
            acc = acc * rescale + tl.sum(unpacked(v, q, FORM) * (weights * v_scale)[:, None], 0)
            k_scale = k_scale_next
            v_scale = v_scale_next
        else:
            acc = acc * rescale + tl.sum(v.to(tl.float32) * weights[:, None], 0)
        row_max = new_max
        k = k_next
        v = v_next
    out_at = out + row.to(tl.int64) * (KV * GROUP * D) + query * D
    result = (acc / total).to(v_new.dtype)
    if W == D:
        tl.store(out_at + d, result)
    else:
        tl.store(out_at + d, result, mask=d < D)


@triton.jit
def attend_per_group(
    qkv, keys, values, key_scales, value_scales, positions, cos, sin, out, partial, stats, scale, row_stride,
    head_stride,
    GROUP: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, R: tl.constexpr, WINDOW: tl.constexpr,
    CAP: tl.constexpr, FORM: tl.constexpr, S: tl.constexpr, M: tl.constexpr, BLOCK: tl.constexpr, SPLITS: tl.constexpr,
    STAGES: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    """A group of query heads and one split; row s * GROUP + g of the M queries is new token s, head g of the group."""
    split = tl.program_id(0)
    head = tl.program_id(1)
    row = tl.program_id(2)
    WIDTH: tl.constexpr = (GROUP + 2) * KV * D
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    length = tl.load(positions + row)
    begin = tl.maximum(length - WINDOW + 1, 0) if WINDOW > 0 else 0  # the first new token looks back farthest
    if SPLITS == 1:
        low = begin
        high = length
    else:
        share = tl.cdiv(tl.cdiv(length - begin, SPLITS), BLOCK) * BLOCK
        low = begin + split * share
        high = tl.minimum(low + share, length)
    d = tl.arange(0, W)
    n = tl.arange(0, BLOCK)
    m = tl.arange(0, M)
    begins = row.to(tl.int64) * row_stride + head * head_stride
    keys += begins
    values += begins
    if FORM != PLAIN:
        key_scales += begins // D
        value_scales += begins // D
    first_half = d < R // 2
    other_half = tl.where(first_half, d + R // 2, d - R // 2)
    token = m // GROUP
    real = head_mask((m < S * GROUP)[:, None], d[None, :], D, W)
    if S == 1:
        q_cos = load_head(cos + length * D + d, d, D, W)[None, :]
        q_sin = load_head(sin + length * D + d, d, D, W)[None, :]
    else:
        angles = (length + token)[:, None] * D + d[None, :]
        q_cos = tl.load(cos + angles, mask=real, other=0.0)
        q_sin = tl.load(sin + angles, mask=real, other=0.0)
    new = qkv + row.to(tl.int64) * S * WIDTH
    q_at = new + (token * WIDTH + (head * GROUP + m % GROUP) * D)[:, None]
    q = tl.load(q_at + d[None, :], mask=real, other=0.0)
    q_partner = tl.load(q_at + other_half[None, :], mask=real, other=0.0)
    q = rotate(q, q_partner, q_cos, q_sin, first_half[None, :])
    k_at = new + (GROUP * KV + head) * D
    v_at = k_at + KV * D
    # The new tokens come first, so that the running maximum is finite. In splits but the first they get a score that
    # any other one wipes out, here or when the splits are combined.
    if S == 1:
        k_new = load_head(k_at + d, d, D, W)
        k_partner = load_head(k_at + other_half, d, D, W)
        v_new = load_head(v_at + d, d, D, W)
        k_cos = load_head(cos + length * D + d, d, D, W)
        k_sin = load_head(sin + length * D + d, d, D, W)
        k_new = rotate(k_new, k_partner, k_cos, k_sin, first_half)
        writes = (d < D) & (split == 0)
        k_new = write_one(k_new, keys + length * D + d, key_scales, length, writes, split == 0, FORM)
        v_new = write_one(v_new, values + length * D + d, value_scales, length, writes, split == 0, FORM)
        row_max = capped(tl.sum(q.to(tl.float32) * k_new.to(tl.float32)[None, :], 1) * scale, CAP)
        if SPLITS > 1:
            row_max = tl.where(split == 0, row_max, -1e30)
        total = tl.full([M], 1.0, tl.float32)
        acc = tl.zeros([M, W], tl.float32) + v_new.to(tl.float32)[None, :]
    else:
        s = tl.arange(0, 16)
        exists = head_mask((s < S)[:, None], d[None, :], D, W)
        offsets = (length + s)[:, None] * D + d[None, :]
        k_new = tl.load(k_at + s[:, None] * WIDTH + d[None, :], mask=exists, other=0.0)
        k_partner = tl.load(k_at + s[:, None] * WIDTH + other_half[None, :], mask=exists, other=0.0)
        v_new = tl.load(v_at + s[:, None] * WIDTH + d[None, :], mask=exists, other=0.0)
        k_cos = tl.load(cos + offsets, mask=exists, other=0.0)
        k_sin = tl.load(sin + offsets, mask=exists, other=0.0)
        k_new = rotate(k_new, k_partner, k_cos, k_sin, first_half[None, :])
        writes = exists & (split == 0)
        owns = (s < S) & (split == 0)
        k_new = write_rows(k_new, keys + offsets, key_scales, length + s, writes, owns, FORM)
        v_new = write_rows(v_new, values + offsets, value_scales, length + s, writes, owns, FORM)
        scores = capped(tl.dot(q, tl.trans(k_new), input_precision="ieee") * scale, CAP)
        if SPLITS > 1:
            scores = tl.where(split == 0, scores, -1e30)
        before = (s[None, :] <= token[:, None]) & (s < S)[None, :]
        if WINDOW > 0:
            before = before & (s[None, :] > token[:, None] - WINDOW)
        scores = tl.where(before, scores, float("-inf"))
        row_max = tl.max(scores, 1)
        weights = tl.exp2(scores - row_max[:, None])
        total = tl.sum(weights, 1)
        acc = tl.dot(weights.to(v_new.dtype), v_new, input_precision="ieee")
    for first in tl.range(low, high, BLOCK, num_stages=STAGES):
        at = (first + n)[:, None] * D + d[None, :]
        old = head_mask((first + n < high)[:, None], d[None, :], D, W)
        k = tl.load(keys + at, mask=old, other=0.0)
        v = tl.load(values + at, mask=old, other=0.0)
        visible = (first + n < high)[None, :]
        if WINDOW > 0 and S > 1:
            visible = visible & (first + n[None, :] > length + token[:, None] - WINDOW)
        if FORM == PLAIN:
            row_max, total, acc = online_softmax(q, k, v, visible, scale, row_max, total, acc, CAP)
        else:
            inside = first + n < high
            k_scale = tl.load(key_scales + first + n, mask=inside, other=0.0)
            v_scale = tl.load(value_scales + first + n, mask=inside, other=0.0)
            k = unpacked(k, q, FORM)
            v = unpacked(v, q, FORM)
            row_max, total, acc = online_softmax(q, k, v, visible, scale, row_max, total, acc, CAP, k_scale, v_scale)
    if SPLITS == 1:
        result = (acc / total[:, None]).to(q.dtype)
        out_at = (row.to(tl.int64) * S + token) * (KV * GROUP * D) + (head * GROUP + m % GROUP) * D
        tl.store(out + out_at[:, None] + d[None, :], result, mask=real)
    else:
        offset = ((row * KV + head) * SPLITS + split).to(tl.int64) * M + m
        tl.store(partial + offset[:, None] * D + d[None, :], acc, mask=real)
        tl.store(stats + offset * 2, row_max, mask=m < S * GROUP)
        tl.store(stats + offset * 2 + 1, total, mask=m < S * GROUP)


@triton.jit
def combine_splits(
    partial, stats, out, GROUP: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, S: tl.constexpr,
    M: tl.constexpr, SPLITS: tl.constexpr, BLOCK: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    """The splits' results, each weighed by its share of the softmax."""
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    m = tl.program_id(0)
    head = tl.program_id(1)
    row = tl.program_id(2)
    split = tl.arange(0, BLOCK)
    d = tl.arange(0, W)
    exists = split < SPLITS
    offset = ((row * KV + head).to(tl.int64) * SPLITS + split) * M + m
    row_max = tl.load(stats + offset * 2, mask=exists, other=float("-inf"))
    total = tl.load(stats + offset * 2 + 1, mask=exists, other=0.0)
    inside = head_mask(exists[:, None], d[None, :], D, W)
    acc = tl.load(partial + offset[:, None] * D + d[None, :], mask=inside, other=0.0)
    weights = tl.exp2(row_max - tl.max(row_max, 0))
    result = tl.sum(acc * weights[:, None], 0) / tl.sum(total * weights, 0)
    out_at = (row.to(tl.int64) * S + m // GROUP) * (KV * GROUP * D) + (head * GROUP + m % GROUP) * D
    result = result.to(out.dtype.element_ty)
    if W == D:
        tl.store(out + out_at + d, result)
    else:
        tl.store(out + out_at + d, result, mask=d < D)
