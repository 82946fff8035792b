"""The Triton products against the plain ones."""

from __future__ import annotations

import pytest
import torch

import tests.support.triton_device  # noqa: F401
from scripts.kernels import reference, triton_convert, triton_gemv, triton_products, triton_skinny, tuned
from scripts.kernels.matrix import Matrix, quantize

pytestmark = pytest.mark.usefixtures("where_kernels_run")
KINDS = ["dense", "int8", "fp8", "int4"]
FLOAT, HALF = torch.float32, torch.bfloat16
TOLERANCE = {FLOAT: 1e-5, torch.float16: 5e-3, HALF: 2e-2}  # the interpreter cuts bfloat16 off where a GPU rounds
CASES = [(1, FLOAT), (1, HALF), (5, FLOAT), (5, torch.float16)]  # of bfloat16 it has no tl.dot


def problem(kind, rows, N, K, dtype, bias=False):
    """Input [rows, K], matrix [N, K], norm and residual, of a size that keeps the outputs near 1."""
    generator = torch.Generator("cpu").manual_seed(N * K + rows)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, device="cpu").to(torch.get_default_device(), dtype)

    matrix = quantize(normal(N, K) / K**0.5, kind)
    matrix.bias = normal(N) if bias else None
    return normal(rows, K), matrix, reference.Norm(1 + normal(K) / 4, 1e-5), normal(rows, N)


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    error = (found - expected).float().norm() / expected.float().norm()
    assert error < TOLERANCE[expected.dtype]


@pytest.mark.parametrize(("rows", "dtype"), CASES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_linear(self, kind, dtype, rows):
        x, matrix, norm, residual = problem(kind, rows, 20, 256, dtype, bias=True)
        for options in ({}, {"norm": norm}, {"residual": residual}, {"norm": norm, "residual": residual}):
            found = triton_products.linear(x, matrix, **options)
            assert_close(found, reference.linear(x, matrix, **options))

    def test_gated_linear(self, kind, dtype, rows):
        x, matrix, norm, _ = problem(kind, rows, 20, 128, dtype)
        offset = reference.Norm(norm.weight - 1, norm.eps, offset=True)
        ways = [{}, {"norm": norm}, {"norm": offset, "activation": "gelu_pytorch_tanh"}, {"activation": "gelu"}]
        for options in ways:
            assert_close(
                triton_products.gated_linear(x, matrix, **options), reference.gated_linear(x, matrix, **options)
            )


@pytest.mark.parametrize(("N", "K"), [(7, 90), (33, 51), (1, 16), (130, 262)])
@pytest.mark.parametrize("rows", [1, 3])
def test_ragged_sizes(rows, N, K):
    x, matrix, norm, residual = problem("dense", rows, N, K, FLOAT)
    multiply = triton_gemv.gemv if rows == 1 else triton_skinny.skinny_gemm
    if rows == 1:
        assert_close(
            multiply(x, matrix, norm=norm, residual=residual),
            reference.linear(x, matrix, norm=norm, residual=residual),
        )
    else:
        assert_close(multiply(x, matrix, residual=residual), reference.linear(x, matrix, residual=residual))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile", [(2, 8, 1, 1), (4, 32, 1, 3), (8, 16, 2, 2)])
def test_a_row_in_several_tiles(kind, tile):
    x, matrix, norm, residual = problem(kind, 1, 12, 640, FLOAT)
    tile = triton_gemv.TileConfig(*tile)
    found = triton_gemv.gemv(x, matrix, norm=norm, residual=residual, tile=tile)
    assert_close(found, reference.linear(x, matrix, norm=norm, residual=residual))
    gated = triton_gemv.gemv(x, matrix, norm=norm, gated=True, tile=tile)
    assert_close(gated, reference.gated_linear(x, matrix, norm=norm))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("splits", [1, 3])
def test_columns_split_over_programs(kind, splits):
    x, matrix, _, residual = problem(kind, 18, 20, 384, FLOAT, bias=True)
    tile = triton_skinny.TileConfig(16, 64, 2, 2, splits)
    found = triton_skinny.skinny_gemm(x, matrix, residual=residual, tile=tile)
    assert_close(found, reference.linear(x, matrix, residual=residual))
    assert_close(triton_skinny.skinny_gemm(x, matrix, gated=True, tile=tile), reference.gated_linear(x, matrix))


@pytest.mark.parametrize("kind", ["dense", "int8", "int4"])
def test_many_rows(kind, monkeypatch):
    monkeypatch.setattr(triton_products, "SKINNY_ROWS", dict.fromkeys(KINDS, 0))
    x, matrix, norm, residual = problem(kind, 6, 24, 128, FLOAT, bias=True)
    found = triton_products.linear(x, matrix, norm=norm, residual=residual)
    assert_close(found, reference.linear(x, matrix, norm=norm, residual=residual))
    assert_close(triton_products.gated_linear(x, matrix, norm=norm), reference.gated_linear(x, matrix, norm=norm))


def test_modules():
    layers = [torch.nn.Linear(24, size) for size in (8, 16)]
    matrix = Matrix("modules", modules=layers)
    x, residual = torch.randn(1, 24), torch.randn(1, 24)
    with torch.no_grad():
        found = triton_products.linear(x, matrix, residual=residual)
        expected = torch.cat([layer(x) for layer in layers], dim=-1) + residual
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", ["int8", "fp8", "int4"])
def test_weights_are_dequantised(kind):
    _, matrix, _, _ = problem(kind, 1, 5, 384, FLOAT)
    assert_close(triton_convert.dequantize(matrix, FLOAT), matrix.dense(FLOAT))


def test_rows_are_quantized_by_their_largest_value():
    x = torch.randn(3, 48)
    data, scales = triton_convert.quantize_rows(x)
    assert torch.allclose(scales[:, 0], x.abs().amax(dim=1) / 448)
    assert ((data.float() * scales - x).norm() / x.norm()) < 0.07  # the interpreter cuts off


@pytest.mark.parametrize("choice", [("skinny_gemm", (16, 64, 2, 2, 2)), ("gemv", (4, 16, 1)), ("torch", ())])
@pytest.mark.parametrize("gated", [False, True])
def test_a_measured_choice_takes_the_rules_place(choice, gated, monkeypatch):
    rows = 1 if choice[0] == "gemv" else 5
    x, matrix, norm, residual = problem("int8", rows, 20, 256, torch.float16)
    key = ("int8", 20, 256, tuned.padded_rows(rows))
    monkeypatch.setitem(tuned.PRODUCTS, tuned._gpu(x.device), {key: choice})
    called = []
    for module, name in ((triton_skinny, "skinny_gemm"), (triton_gemv, "gemv"), (triton_products, "by_torch")):
        original = getattr(module, name)

        def noting(*given, name=name, original=original, **named):
            called.append((name, named.get("tile")))
            return original(*given, **named)

        monkeypatch.setattr(module, name, noting)
    if gated:
        assert_close(triton_products.gated_linear(x, matrix, norm=norm), reference.gated_linear(x, matrix, norm=norm))
    else:
        found = triton_products.linear(x, matrix, norm=norm, residual=residual)
        assert_close(found, reference.linear(x, matrix, norm=norm, residual=residual))
    ((kernel, tile),) = called
    assert kernel == ("by_torch" if choice[0] == "torch" else choice[0])
    assert choice[0] == "torch" or tuple(tile)[: len(choice[1])] == choice[1]
    assert tuned.choice(x.float(), "int8", 20, 256) is None  # its tiles are twice as large


def test_every_choice_that_was_measured_names_a_kernel_and_its_tile():
    sizes = {tuned.GEMV: triton_gemv.TileConfig, tuned.SKINNY: triton_skinny.TileConfig}
    for products in tuned.PRODUCTS.values():
        for (kind, _, _, rows), (kernel, tile) in products.items():
            assert kind in KINDS
            assert rows == tuned.padded_rows(rows)
            assert kernel == tuned.TORCH or sizes[kernel](*tile)
            assert kernel != tuned.GEMV or rows == 1


@pytest.mark.parametrize("kind", ["int8", "int4", "fp8"])
@pytest.mark.parametrize("tokens", [3, 17, 64, 80, 128])
@pytest.mark.parametrize("itemsize", [2, 4])
def test_the_tiles_in_flight_fit_into_a_multiprocessors_shared_memory(kind, tokens, itemsize):
    tile = triton_skinny.rule_tile(kind, 8192, 2048, tokens, 132, itemsize)
    block = min(triton_skinny.MAX_BLOCK_ROWS, max(16, 1 << (tokens - 1).bit_length()))
    inputs = (2 if kind == "int4" else 1) * block * tile.columns * itemsize  # int4 has two columns an element
    stored = tile.rows * tile.columns
    unpacked = tile.rows * tile.columns * itemsize * (2 if kind == "int4" else 1)
    assert tile.stages * (inputs + stored) + unpacked <= 227 * 1024  # of a GPU of compute capability 9.0
