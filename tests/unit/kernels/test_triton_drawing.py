import pytest
import torch

import tests.support.triton_device  # noqa: F401
from scripts.kernels import triton_drawing
from scripts.runtime import uniforms
from scripts.runtime.drawing import key_of

pytestmark = pytest.mark.usefixtures("where_kernels_run")


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
@pytest.mark.parametrize(("rows", "tokens", "first"), [(1, 5, 0), (3, 1500, 0), (2, 1024, 128_000)])
def test_every_number_is_that_of_plain_torch(rows, tokens, first, kind):
    keys = torch.tensor([key_of(row, [1, 2, 3], row) for row in range(rows)])
    positions = torch.tensor([0, 77, 131_071][:rows], dtype=kind)
    found = triton_drawing.uniforms(keys, positions, tokens, first)
    assert torch.equal(found, uniforms.uniforms(keys, positions, tokens, first))
