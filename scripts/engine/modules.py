"""A decoder layer's operations over the weights of the transformers modules, which are looked at rather than believed.

The model stays whole: where weights are fused (query, key and value; gate and up), its own become views of the fused
ones, so that it still computes the same and no byte is stored twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn

from scripts.engine import family
from scripts.kernels.matrix import Matrix, concatenated
from scripts.kernels.parts import Heads, Norm, Rope
from scripts.kernels.reference import ACTIVATION, rms_norm
from scripts.runtime.errors import UnsupportedError

ATTENTION, FEED_FORWARD = "self_attn", "mlp"
BEFORE_FEED_FORWARD = "pre_feedforward_layernorm"  # where there is one, the norms after the blocks have names as below
NORMS_OF_TWO = {"input_layernorm", "post_attention_layernorm"}
NORMS_OF_FOUR = NORMS_OF_TWO | {BEFORE_FEED_FORWARD, "post_feedforward_layernorm"}
APART, FUSED = {"q_proj", "k_proj", "v_proj"}, {"qkv_proj"}
HEAD_NORMS = {"q_norm", "k_norm"}

StoredFused = Callable[[nn.Module, list[int]], Matrix]


@dataclass
class Layer:
    """One decoder layer: its norms, four matrices, and how it attends."""

    attention_norm: Norm
    qkv: Matrix  # [(H + 2 Hkv) D, hidden]
    out: Matrix  # [hidden, H D]
    feed_forward_norm: Norm
    gate_up: Matrix  # [2 I, hidden]
    down: Matrix  # [hidden, I]
    heads: Heads
    rope: Rope
    activation: str
    head_norms: tuple[Norm, Norm] | None = None  # of each query head and of each key head, [D]
    after_attention: Norm | None = None  # of what is added to the residual
    after_feed_forward: Norm | None = None


def layer_of(layer: nn.Module, heads: Heads, rope: Rope, activation: str, stored_fused: StoredFused) -> Layer:
    """A decoder layer's norms and matrices, of a sharded one this process's part.

    Args:
        layer: transformers' module.
        heads: of the whole layer.
        rope: its angles.
        activation: of its feed-forward layer, by the configuration.
        stored_fused: gives this process's part of a projection that the checkpoint stores in one piece, by its module
            and the rows of what it consists of.

    Raises:
        UnsupportedError: it has other parts, or they compute something else than its configuration says.
    """
    attention, feed_forward = layer.self_attn, layer.mlp
    four = hasattr(layer, BEFORE_FEED_FORWARD)
    _refuse_other_parts(layer, {ATTENTION, FEED_FORWARD} | (NORMS_OF_FOUR if four else NORMS_OF_TWO))
    projections = FUSED if hasattr(attention, "qkv_proj") else APART
    normed = hasattr(attention, "q_norm")
    _refuse_other_parts(attention, {"o_proj"} | projections | (HEAD_NORMS if normed else set()))
    fused = hasattr(feed_forward, "gate_up_proj")
    _refuse_other_parts(feed_forward, {"down_proj"} | ({"gate_up_proj"} if fused else {"gate_proj", "up_proj"}))
    _refuse_other_attention(attention, heads)
    own = activation_of(feed_forward)
    if own != activation:
        raise UnsupportedError(f"This model's configuration names {activation}, but its layers compute {own}.")
    return Layer(
        attention_norm=norm_of(layer.input_layernorm),
        qkv=stored_fused(attention.qkv_proj, [heads.query * heads.width, *[heads.key_value * heads.width] * 2])
        if projections == FUSED
        else _joined([attention.q_proj, attention.k_proj, attention.v_proj]),
        out=matrix_of(attention.o_proj),
        feed_forward_norm=norm_of(getattr(layer, BEFORE_FEED_FORWARD if four else "post_attention_layernorm")),
        gate_up=stored_fused(feed_forward.gate_up_proj, [feed_forward.gate_up_proj.out_features // 2] * 2)
        if fused
        else _joined([feed_forward.gate_proj, feed_forward.up_proj]),
        down=matrix_of(feed_forward.down_proj),
        heads=heads,
        rope=rope,
        activation=activation,
        head_norms=_head_norms(attention, heads) if normed else None,
        after_attention=norm_of(layer.post_attention_layernorm) if four else None,
        after_feed_forward=norm_of(layer.post_feedforward_layernorm) if four else None,
    )


def _refuse_other_parts(module: nn.Module, known: set[str]) -> None:
    """Refuse a module that has not just these children, those without weights, quantised or not, aside."""
    tensors = {name: chain(child.parameters(), child.buffers()) for name, child in module.named_children()}
    has = {name for name, found in tensors.items() if any(True for _ in found)}
    has |= {name for name, _ in module.named_parameters(recurse=False)}
    if has != known:
        odd = sorted(has ^ known)[0]
        found = "has" if odd in has else "lacks"
        raise UnsupportedError(f"The graph engine does not know a {type(module).__name__} that {found} '{odd}'.")


def _refuse_other_attention(attention: nn.Module, heads: Heads) -> None:
    """Refuse an attention whose own window or scale is not that of the configuration."""
    window = getattr(attention, "sliding_window", heads.window)
    if window != heads.window:
        raise UnsupportedError(
            f"This model's configuration says a window of {heads.window} positions, but its layer has one of {window}."
        )


def _head_norms(attention: nn.Module, heads: Heads) -> tuple[Norm, Norm]:
    norms = norm_of(attention.q_norm), norm_of(attention.k_norm)
    for norm in norms:
        if norm.weight.shape != (heads.width,):
            raise UnsupportedError(
                f"The graph engine norms each head by itself; this model norms {norm.weight.numel()} elements together."
            )
    return norms


def norm_of(norm: nn.Module) -> Norm:
    """A norm's weight and epsilon, and whether it is an offset from 1, as its class computes it.

    Raises:
        UnsupportedError: it computes something else.
    """
    weight = getattr(norm, "weight", None)
    eps = getattr(norm, "variance_epsilon", getattr(norm, "eps", None))
    if weight is None or eps is None:
        raise UnsupportedError(f"The graph engine does not know the norm {type(norm).__name__}.")
    return Norm(local_shard(weight), eps, offset=_has_offset(type(norm)))


def _has_offset(kind: type[nn.Module]) -> bool:
    """Whether the factor is 1 + weight, by what a norm of that class does with a few numbers."""
    if kind not in _OFFSETS:
        with torch.device("cpu"), torch.inference_mode():
            given = torch.tensor([[1.0, -2.0, 3.0, 0.5]])
            probe = kind(4)
            probe.weight.copy_(torch.tensor([0.5, -0.25, 2.0, 1.0]))
            weight, eps = probe.weight.detach(), getattr(probe, "variance_epsilon", getattr(probe, "eps", 0.0))
            found = probe(given)
            same = [
                torch.allclose(found, rms_norm(given, Norm(weight, eps, offset)), rtol=1e-5) for offset in (False, True)
            ]
        if not any(same):
            raise UnsupportedError(f"The graph engine does not compute the norm {kind.__name__}.")
        _OFFSETS[kind] = same[1]
    return _OFFSETS[kind]


_OFFSETS: dict[type[nn.Module], bool] = {}


def activation_of(feed_forward: nn.Module) -> str:
    """Which of the known activations a feed-forward layer applies, by what it does with a few numbers.

    Raises:
        UnsupportedError: none of them.
    """
    function = getattr(feed_forward, "act_fn", getattr(feed_forward, "activation_fn", None))
    given = torch.linspace(-4, 4, 33)
    if function is not None:
        with torch.inference_mode():
            found = function(given)
        for name, known in ACTIVATION.items():
            if torch.allclose(found, known(given), rtol=0, atol=1e-6):
                return name
    raise UnsupportedError(f"The graph engine does not know the activation of {type(feed_forward).__name__}.")


def embedding_of(embedding: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The embedding's weight, [vocabulary, hidden], and the factor of what it gives, if it has one.

    Raises:
        UnsupportedError: it is of another kind.
    """
    scale = getattr(embedding, "embed_scale", None)
    if not isinstance(embedding, nn.Embedding) or (scale is None and type(embedding).forward is not _LOOK_UP):
        raise UnsupportedError(f"The graph engine does not know the embedding {type(embedding).__name__}.")
    return embedding.weight, None if scale is None else scale.detach()


_LOOK_UP = nn.Embedding.forward


def heads_of(config: Any, attention: nn.Module, plan: family.LayerPlan) -> Heads:
    """The heads of a whole layer, and how they attend."""
    width = head_width(config)
    scale = getattr(attention, "scaling", None)
    keys = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return Heads(
        config.num_attention_heads, keys, width,
        scale=None if scale is None or scale == width**-0.5 else scale,
        window=plan.window, cap=family.score_cap(config),
    )  # fmt: skip


def head_width(config: Any) -> int:
    """Elements of a head: as the configuration says, or else an equal share of the model's width."""
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def matrix_of(layer: nn.Module) -> Matrix:
    """The weight of a linear layer as it is stored; a layer of another library is called as a module."""
    if hasattr(layer, "matrix"):
        return layer.matrix
    if type(layer) is nn.Linear:
        bias = None if layer.bias is None else local_shard(layer.bias)
        return Matrix("dense", local_shard(layer.weight), bias=bias)
    return Matrix("modules", modules=[layer])


def _joined(layers: list[nn.Module]) -> Matrix:
    """The layers' weights concatenated along their rows; the layers' own become views of them."""
    matrices = [matrix_of(layer) for layer in layers]
    fused = concatenated(matrices)
    if fused.kind == "modules":
        return fused
    first = 0
    for layer, matrix in zip(layers, matrices, strict=True):
        rows = slice(first, first + matrix.shape[0])
        first = rows.stop
        for name in ("data", "scales", "minima", "bias"):
            if getattr(fused, name) is not None:
                setattr(matrix, name, getattr(fused, name)[rows])
        if hasattr(layer, "matrix"):
            layer.matrix = matrix
            continue
        _set_data(layer.weight, matrix.data)
        if layer.bias is not None:
            _set_data(layer.bias, matrix.bias)
    return fused


def local_shard(parameter: torch.Tensor) -> torch.Tensor:
    """What this process holds of a weight that may be sharded (a DTensor)."""
    return getattr(parameter, "_local_tensor", parameter).detach()


def _set_data(parameter: torch.Tensor, data: torch.Tensor) -> None:
    """Replace a parameter's storage."""
    if hasattr(parameter, "_local_tensor"):
        parameter._local_tensor = data
    else:
        parameter.data = data
