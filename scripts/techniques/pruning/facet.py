"""Facet ``pruning``: remove the weights of the linear layers that matter least.

``magnitude``: the smallest weights become zero. ``wanda``: the same by weight times input norm. Zeros in dense tensors
neither shrink nor speed up anything by themselves. ``structured``: feed-forward channels are cut out, and the tensors
shrink. Embeddings and output head are left out. No mask is left beside the weights, and nothing is trained afterwards.
A pruned checkpoint is quantised, or split over processes, after it is pruned.
"""

from __future__ import annotations

from scripts.techniques.methods import MethodFacet


class Pruning(MethodFacet):
    """``none``, a method, or an object with ``method``, ``amount`` and the method's options."""

    name = "pruning"
    order = 10
    kind = "pruning method"
    default = "magnitude"
    transforms_weights = True


FACET = Pruning()
