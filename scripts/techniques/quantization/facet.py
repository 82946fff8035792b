"""Facet ``quantization``: the linear layers' weights in 8 or 4 bits. Embeddings and output head stay as they are.

``int8`` and ``nf4`` are bitsandbytes' methods. ``int8_weight_only``, ``int4_weight_only`` and ``fp8`` store the weights
smaller, with kernels of the project's own on a GPU.
"""

from __future__ import annotations

from scripts.techniques.methods import MethodFacet


class Quantization(MethodFacet):
    """``none``, a method, or an object with ``method`` and its options."""

    name = "quantization"
    order = 20
    kind = "quantization method"


FACET = Quantization()
