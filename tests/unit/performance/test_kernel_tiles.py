"""The search for better tiles of a product: what it tries is a right product, and it ends at the fastest."""

import time

import pytest
import torch

from scripts.kernels import reference
from scripts.kernels.matrix import quantize
from tests.performance.tile_search import search
from tests.performance.tile_search.products import Product, wanted
from tests.performance.tile_search.search import Kernel
from tests.performance.tile_search.table import HEAD, Timed
from tests.support.triton_device import DEVICE

PLAIN, GATED = Product("out", 96, 256, added=True), Product("gate_up", 64, 256, gated=True, normed=True)
NEVER, AT_ONCE = float("inf"), 0.0


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("product", [PLAIN, GATED], ids=lambda product: product.name)
@pytest.mark.parametrize("kind", ["dense", "int8", "int4"])
def test_every_tile_near_the_rules_makes_the_same_product(kind, product, rows, monkeypatch):
    from scripts.kernels import triton_gemv, triton_skinny

    torch.manual_seed(0)

    def drawn(*shape):
        return torch.randn(*shape).to(DEVICE)

    matrix = quantize(drawn(product.N, product.K) / 16, kind)
    x, added = drawn(rows, product.K), drawn(rows, product.N) if product.added else None
    norm = reference.Norm(1 + drawn(product.K) / 4, 1e-5) if product.normed else None
    plain = reference.gated_linear if product.gated else reference.linear
    expected = plain(x, matrix, norm=norm, **({} if product.gated else {"residual": added}))
    products = []
    for module, name in ((triton_gemv, "gemv"), (triton_skinny, "skinny_gemm")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, original=original, **named: products.append(original(*given, **named))
        )
    tried = 0
    for kernel in search.kernels(product, matrix, x, norm, added, 1):
        near = kernel.near(kernel.rule)
        assert near
        assert kernel.rule not in near
        for tile in [kernel.rule, *near]:
            kernel.by(tile)(matrix)
            tried += 1
    assert len(products) == tried
    for found in products:
        # A GPU's sums are in another order than the interpreter's.
        assert (found - expected).norm() / expected.norm() < (1e-4 if DEVICE == "cuda" else 1e-5)


def climb(took, until=NEVER):
    kernel = Kernel("stairs", (8,), lambda tile: [(tile[0] - 1,), (tile[0] + 1,)], lambda tile: lambda matrix: None)
    sizes = iter([8, 7, 9, 6, 5, 4])
    return search.climbed(kernel, lambda multiply: took(next(sizes)), until)


def test_the_search_goes_on_from_the_better_neighbour_until_none_is():
    times = climb(lambda size: abs(size - 5) + 1.0)
    assert times == {("stairs", (size,)): abs(size - 5) + 1.0 for size in (8, 7, 9, 6, 5, 4)}


def test_what_a_gpu_cannot_run_is_passed_over():
    assert list(climb(lambda size: None if size == 7 else float(size))) == [("stairs", (8,)), ("stairs", (9,))]
    with pytest.raises(RuntimeError, match="stairs does not run with the rule's tile configuration"):
        climb(lambda size: None)


def test_no_tile_but_the_rules_is_tried_when_the_time_is_over():
    assert climb(float, until=time.monotonic() - 1) == {("stairs", (8,)): 8.0}


def test_a_choice_is_named_only_if_it_is_worth_it():
    rule, near, torchs = ("skinny_gemm", (32, 64)), ("skinny_gemm", (64, 64)), ("torch", ())

    def timed(**more):
        times = {rule: 100.0, near: 98.0, torchs: 200.0} | more.get("times", {})
        return Timed("out", "int8", 96, 256, 4, 24_576, rule, times)

    assert timed().best() == rule
    assert timed().entry() == ""
    better = timed(times={near: 80.0})
    assert better.best() == near
    assert better.entry() == "('int8', 96, 256, 16): ('skinny_gemm', (64, 64)),"
    assert timed(times={torchs: 50.0}).entry() == "('int8', 96, 256, 16): ('torch', ()),"
    assert "| skinny_gemm 32/64 | 100.0 | 0.00 | 80.0 (1.25x) | skinny_gemm 64/64 |" in better.line()
    assert better.line().count("|") == HEAD.splitlines()[0].count("|")
    assert better.document()["microseconds"][1] == {"kernel": "skinny_gemm", "tile": (64, 64), "microseconds": 80.0}


def test_a_matrix_of_two_shapes_is_measured_once():
    once = list(wanted(["llama-3.2-1b"], ["dense"], [1]))
    assert [product.name for product, _, _ in once] == ["qkv", "out", "gate_up", "down"]
    assert list(wanted(["llama-3.2-1b", "llama-3.2-1b"], ["dense"], [1])) == once
