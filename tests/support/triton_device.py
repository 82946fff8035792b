"""Where Triton kernels are tested: on the GPU, else interpreted on the CPU. Import this before what has kernels."""

import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytest.importorskip("triton", reason="there is no Triton for this platform")

if DEVICE == "cpu":
    from tests.support import interpreter

    interpreter.quicken()
