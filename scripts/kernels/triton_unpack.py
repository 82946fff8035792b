"""Loading tiles of stored weights, and converting what was loaded to float32."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_tile(pointer, rows, column, WIDTH: tl.constexpr, C: tl.constexpr, V: tl.constexpr):
    """Tile [C, R, V] of a matrix WIDTH wide; zero beyond its edge. Read once, so it shall displace nothing."""
    chunks = column + tl.arange(0, C) * V
    offsets = chunks[:, None] + rows[None, :] * WIDTH
    pointers = pointer + offsets[:, :, None] + tl.arange(0, V)[None, None, :]
    if WIDTH % (C * V) == 0:
        return tl.load(pointers, eviction_policy="evict_first")
    return tl.load(pointers, mask=(chunks < WIDTH)[:, None, None], other=0.0, eviction_policy="evict_first")


@triton.jit
def _load_part(pointer, column, WIDTH: tl.constexpr, C: tl.constexpr, V: tl.constexpr, PART: tl.constexpr):
    """The first PART elements of each chunk of V, in float32."""
    chunks = column + tl.arange(0, C) * V
    pointers = pointer + chunks[:, None] + tl.arange(0, PART)[None, :]
    if WIDTH % (C * V) == 0:
        return tl.load(pointers).to(tl.float32)
    return tl.load(pointers, mask=(chunks < WIDTH)[:, None], other=0.0).to(tl.float32)


@triton.jit
def load_vector(pointer, column, WIDTH: tl.constexpr, C: tl.constexpr, V: tl.constexpr):
    """Tile [C, V] of a vector in float32; zero beyond its edge."""
    WIDEST: tl.constexpr = 128 // pointer.dtype.element_ty.primitive_bitwidth  # elements of a 16-byte load
    if V <= WIDEST:
        tile = _load_part(pointer, column, WIDTH, C, V, V)
    else:
        # Two loads by one thread, where one tile would give a chunk to two threads and be moved afterwards.
        first = _load_part(pointer, column, WIDTH, C, V, V // 2)
        second = _load_part(pointer + V // 2, column, WIDTH, C, V, V // 2)
        tile = tl.reshape(tl.permute(tl.join(first, second), (0, 2, 1)), [C, V])
    return tile


@triton.jit
def load_groups(pointer, rows, column, GROUPS: tl.constexpr, GROUP: tl.constexpr, C: tl.constexpr, V: tl.constexpr):
    """The scale (or minimum) of the group in which each chunk lies: [C, R]."""
    groups = tl.minimum((column + tl.arange(0, C) * V) // GROUP, GROUPS - 1)
    return tl.load(pointer + groups[:, None] + rows[None, :] * GROUPS)


@triton.jit
def to_float32(tile, FAST: tl.constexpr):
    """A tile in float32. An int8 becomes the last bits of 2^23, which costs half of a conversion."""
    if tile.dtype == tl.float8e4nv:
        return tile.to(tl.float16).to(tl.float32)  # exact, and what the hardware converts to
    if tile.dtype == tl.int8 and FAST:
        raised = tl.inline_asm_elementwise(
            """{
            .reg .b32 t;
            xor.b32 t, $4, 0x80808080;
            prmt.b32 $0, t, 0x4B000000, 0x7440;
            prmt.b32 $1, t, 0x4B000000, 0x7441;
            prmt.b32 $2, t, 0x4B000000, 0x7442;
            prmt.b32 $3, t, 0x4B000000, 0x7443;
            }""",
            "=r,=r,=r,=r,r",
            [tile],
            dtype=tl.float32,
            is_pure=True,
            pack=4,
        )
        return raised - 8388736.0  # 2^23 + 128
    return tile.to(tl.float32)


@triton.jit
def unpack_int4(tile, FAST: tl.constexpr):
    """The two int4 steps of each byte in float32, raised by 128 if FAST: as bits of 128.0 they need no conversion."""
    if FAST:
        return tl.inline_asm_elementwise(
            """{
            .reg .b32 l, h;
            and.b32 l, $8, 0x0F0F0F0F;
            shr.u32 h, $8, 4;
            and.b32 h, h, 0x0F0F0F0F;
            prmt.b32 $0, l, 0x43000000, 0x7044;
            prmt.b32 $1, l, 0x43000000, 0x7144;
            prmt.b32 $2, l, 0x43000000, 0x7244;
            prmt.b32 $3, l, 0x43000000, 0x7344;
            prmt.b32 $4, h, 0x43000000, 0x7044;
            prmt.b32 $5, h, 0x43000000, 0x7144;
            prmt.b32 $6, h, 0x43000000, 0x7244;
            prmt.b32 $7, h, 0x43000000, 0x7344;
            }""",
            "=r,=r,=r,=r,=r,=r,=r,=r,r",
            [tile],
            dtype=(tl.float32, tl.float32),
            is_pure=True,
            pack=4,
        )
    return (tile & 15).to(tl.float32), (tile >> 4).to(tl.float32)
