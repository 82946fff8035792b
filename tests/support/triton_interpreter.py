"""Triton kernels on a CPU: import this before any module that has kernels."""

import os

import pytest

os.environ["TRITON_INTERPRET"] = "1"
pytest.importorskip("triton", reason="Triton is not installed")

from triton.runtime import interpreter

_patch = interpreter._patch_lang_tensor


def _patched(tensor, scope):
    # numpy 2.4 takes no array of one number for a number, which the interpreter of Triton 3.6 relies on.
    _patch(tensor, scope)
    scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))


interpreter._patch_lang_tensor = _patched
