"""The operations of a decoder layer on an NVIDIA GPU, under the names and with the meanings of ``reference``."""

from scripts.kernels.triton_argmax import argmax, max_and_argmax
from scripts.kernels.triton_attention import decode_attention
from scripts.kernels.triton_drawing import uniforms
from scripts.kernels.triton_norm import norm_heads, rms_norm
from scripts.kernels.triton_packed import packed_attention
from scripts.kernels.triton_prefill import prefill_attention
from scripts.kernels.triton_products import gated_linear, linear, pushes, summed_linear

__all__ = [
    "argmax",
    "decode_attention",
    "gated_linear",
    "linear",
    "max_and_argmax",
    "norm_heads",
    "packed_attention",
    "prefill_attention",
    "pushes",
    "rms_norm",
    "summed_linear",
    "uniforms",
]
