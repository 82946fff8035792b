"""A weight that is stored smaller is the same weight, as near as the form allows, and read as it was written."""

import pytest
import torch

from scripts.kernels.matrix import GROUP, Matrix, concatenated, quantize
from scripts.kernels.reference import linear

QUANTISED = ("int8", "int4", "fp8")
PARTS = ("data", "scales", "minima")


def weight(rows=24, columns=256, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    # Rows and groups of very different sizes, as in a model.
    spread = torch.exp(torch.randn(rows, columns // GROUP, 1, generator=generator))
    values = torch.randn(rows, columns // GROUP, GROUP, generator=generator) * spread
    return values.flatten(1).to(dtype)


def steps(matrix):
    """The width of a step at each weight, [N, K]."""
    if matrix.kind == "int4":
        return matrix.scales.float().repeat_interleave(GROUP, dim=1)
    return matrix.scales[:, None].expand(matrix.shape)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_no_weight_is_further_off_than_half_a_step(kind):
    dense = weight()
    matrix = quantize(dense, kind)
    off = (matrix.dense(torch.float32) - dense).abs() / steps(matrix)
    assert float(off.max()) <= 0.5 + 1e-3


def test_eight_bit_floats_are_a_sixteenth_off_at_most():
    dense = weight()
    matrix = quantize(dense, "fp8")
    smallest = matrix.scales[:, None] * 2**-10  # half of the smallest step
    assert bool(((matrix.dense(torch.float32) - dense).abs() <= dense.abs() / 16 + smallest).all())


@pytest.mark.parametrize(("kind", "largest"), [("int8", 0.01), ("int4", 0.1), ("fp8", 0.03)])
def test_error_of_a_normal_weight_by_norm(kind, largest):
    dense = torch.randn(64, 512, generator=torch.Generator().manual_seed(1))
    error = (quantize(dense, kind).dense(torch.float32) - dense).norm() / dense.norm()
    assert largest / 3 < float(error) < largest


@pytest.mark.parametrize("kind", QUANTISED)
def test_what_is_written_out_is_quantised_to_itself(kind):
    once = quantize(weight(), kind)
    again = quantize(once.dense(torch.float32), kind)
    assert torch.allclose(again.dense(torch.float32), once.dense(torch.float32), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", QUANTISED)
def test_weights_of_two_bytes_are_rounded_little_more(kind, dtype):
    dense = weight(dtype=dtype)
    matrix = quantize(dense, kind)
    assert matrix.dense(dtype).dtype == dtype
    assert matrix.scales.dtype == (dtype if kind == "int4" else torch.float32)
    error = (matrix.dense(torch.float32) - dense.float()).norm() / dense.float().norm()
    assert float(error) < {"int8": 0.02, "int4": 0.1, "fp8": 0.04}[kind]


def test_the_halves_of_a_byte_are_columns_half_a_row_apart():
    # Each group holds 0 to 15, so that a step is 1 and every number is kept as it is.
    order = torch.stack([torch.randperm(64, generator=torch.Generator().manual_seed(row)) % 16 for row in range(12)])
    dense = order.view(3, 256).float()
    matrix = quantize(dense, "int4")
    assert matrix.data.shape == (3, 128)
    assert torch.equal(matrix.data & 15, dense[:, :128].to(torch.uint8))
    assert torch.equal(matrix.data >> 4, dense[:, 128:].to(torch.uint8))
    assert torch.equal(matrix.dense(torch.float32), dense)


@pytest.mark.parametrize("kind", QUANTISED)
def test_zero_and_constant_rows_stay_finite(kind):
    dense = torch.zeros(3, 128)
    dense[1], dense[2] = 0.25, -3.0
    written = quantize(dense, kind).dense(torch.float32)
    assert torch.allclose(written, dense, rtol=1e-6)


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_the_largest_weight_of_a_row_is_kept(kind):
    dense = weight()
    written = quantize(dense, kind).dense(torch.float32)
    largest = dense.abs().argmax(dim=1, keepdim=True)
    assert torch.allclose(written.gather(1, largest), dense.gather(1, largest), rtol=1e-5)


@pytest.mark.parametrize("kind", ["dense", *QUANTISED])
def test_rows_below_each_other_are_what_they_were_alone(kind):
    parts = [quantize(weight(rows, seed=rows), kind) for rows in (8, 16, 4)]
    for part in parts:
        part.bias = torch.full((part.shape[0],), float(part.shape[0]))
    whole = concatenated(parts)
    assert (whole.kind, whole.shape) == (kind, (28, 256))
    assert torch.equal(whole.dense(torch.float32), torch.cat([part.dense(torch.float32) for part in parts]))
    assert torch.equal(whole.bias, torch.cat([part.bias for part in parts]))
    assert whole.nbytes == sum(part.nbytes for part in parts)


def test_without_a_bias_there_is_none():
    assert concatenated([quantize(weight(), "int8")] * 2).bias is None


def test_layers_of_a_library_are_called_one_after_another():
    layers = [torch.nn.Linear(256, rows, bias=False) for rows in (3, 5)]
    whole = concatenated([Matrix("modules", modules=[layer]) for layer in layers])
    assert whole.shape == (8, 256)
    assert whole.nbytes == 8 * 256 * 4
    x = torch.randn(2, 256)
    assert torch.equal(linear(x, whole), torch.cat([layer(x) for layer in layers], dim=1))


@pytest.mark.parametrize(
    ("kind", "size"),
    [("dense", 2 * 24 * 256), ("int8", 24 * 260), ("fp8", 24 * 260), ("int4", 24 * (128 + 4 * 2 * 2))],
)
def test_bytes_are_those_of_the_parts(kind, size):
    matrix = quantize(weight(dtype=torch.bfloat16), kind)
    assert matrix.nbytes == size
    matrix.bias = torch.zeros(24, dtype=torch.bfloat16)
    assert matrix.nbytes == size + 48


@pytest.mark.parametrize("kind", QUANTISED)
def test_a_product_is_that_of_the_weight_written_out(kind):
    matrix, x, bias = quantize(weight(), kind), torch.randn(5, 256), torch.randn(24)
    matrix.bias = bias
    expected = x @ matrix.dense(torch.float32).T + bias
    assert torch.allclose(linear(x, matrix), expected, rtol=1e-4, atol=1e-4)
