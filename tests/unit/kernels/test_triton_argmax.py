import pytest
import torch

import tests.support.triton_device  # noqa: F401
from scripts.kernels import reference, triton_argmax
from scripts.kernels.matrix import Matrix, quantize
from scripts.kernels.reference import Norm
from scripts.kernels.triton_argmax import ScanConfig

pytestmark = pytest.mark.usefixtures("where_kernels_run")
SMALL = ScanConfig(tile_bytes=4096, warps=1)


def head_and_norm(n, k, dtype=torch.float32):
    torch.manual_seed(0)
    return Matrix("dense", torch.randn(n, k, dtype=dtype)), Norm(torch.randn(k, dtype=dtype), 1e-5)


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize(("n", "k"), [(320, 128), (1000, 96), (17000, 64)])
def test_the_best_logit_and_its_token(rows, n, k):
    head, norm = head_and_norm(n, k)
    x = torch.randn(rows, k)
    values, tokens = triton_argmax.max_and_argmax(x, head, norm)
    expected = reference.max_and_argmax(x, head, norm)
    assert torch.equal(tokens, expected[1])
    assert torch.allclose(values, expected[0], rtol=1e-5)
    assert torch.equal(triton_argmax.argmax(x, head, norm), expected[1])


@pytest.mark.parametrize("programs", [0, 1, 3])
def test_however_the_head_is_shared_out(programs):
    head, norm = head_and_norm(1001, 128)
    x = torch.randn(1, 128)
    parts = triton_argmax.gemv_argmax(x, head, norm, ScanConfig(4096, 1, programs))
    values, tokens = triton_argmax._reduced(parts)
    assert torch.equal(tokens, reference.argmax(x, head, norm))
    assert torch.allclose(values, reference.max_and_argmax(x, head, norm)[0], rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("first", [0, 11, 299])
def test_of_equal_logits_the_first(rows, first, monkeypatch):
    head, norm = head_and_norm(320, 64)
    x = torch.randn(1, 64).expand(rows, -1).contiguous()
    head.data[[first, first + 1, 318]] = reference.rms_norm(x, norm)[0].clone()  # the best
    monkeypatch.setattr(triton_argmax, "SCAN", SMALL)
    assert triton_argmax.argmax(x, head, norm).tolist() == [first] * rows


@pytest.mark.parametrize("rows", [1, 3])
def test_a_norm_with_an_offset(rows):
    head, norm = head_and_norm(320, 64)
    offset = Norm(norm.weight - 1, norm.eps, offset=True)
    x = torch.randn(rows, 64)
    assert torch.equal(triton_argmax.argmax(x, head, offset), reference.argmax(x, head, norm))


@pytest.mark.parametrize("rows", [1, 3])
def test_half_precision_chooses_among_rounded_logits(rows):
    head, norm = head_and_norm(320, 64, torch.float16)
    x = torch.randn(rows, 64, dtype=torch.float16)
    values, tokens = triton_argmax.max_and_argmax(x, head, norm)
    assert torch.equal(values, values.half().float())
    assert torch.allclose(values, reference.max_and_argmax(x, head, norm)[0], rtol=2e-3)
    assert torch.equal(tokens, reference.argmax(x, head, norm))


@pytest.mark.parametrize("rows", [1, 3])
def test_a_quantised_head_is_multiplied_as_any_matrix(rows, monkeypatch):
    monkeypatch.setattr(triton_argmax, "linear", reference.linear)
    head, norm = head_and_norm(320, 128)
    head = quantize(head.data, "int8")
    x = torch.randn(rows, 128)
    assert torch.equal(triton_argmax.argmax(x, head, norm), reference.argmax(x, head, norm))


def test_logits_that_are_no_numbers_still_give_a_token():
    head, norm = head_and_norm(320, 64)
    for rows in (1, 2):
        assert triton_argmax.argmax(torch.full((rows, 64), float("nan")), head, norm).max() < 320
