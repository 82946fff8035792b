"""A kernel that does nothing but write vectors into a cache in 8 bits and read them back."""

import triton
import triton.language as tl

from scripts.kernels.triton_cache import write_one


@triton.jit
def round_trip(x, scales, numbers, back, D: tl.constexpr, FORM: tl.constexpr):
    """A vector [D] a program."""
    row, d = tl.program_id(0), tl.arange(0, D)
    vector = tl.load(x + row * D + d)
    read = write_one(vector, numbers + row * D + d, scales, row, d < D, True, FORM)
    tl.store(back + row * D + d, read)
