"""The rotary angles of a model, by transformers' own module: a table for each kind of layer."""

from __future__ import annotations

from typing import Any

import torch

from scripts.engine import family
from scripts.engine.modules import head_width
from scripts.kernels.parts import Rope
from scripts.runtime.errors import UnsupportedError


def rope_tables(model: Any, positions: int) -> dict[str | None, Rope]:
    """Angles for every position, by the layers' type; under None where all layers share them.

    Raises:
        UnsupportedError: angles of this type are not known, or rotate another part of a head than the model's family.
    """
    config, rotary = model.config, model.model.rotary_emb
    kinds = rotary.rope_type
    if not isinstance(kinds, dict):
        return {None: _table(config, rotary, positions, kinds, {})}
    return {kind: _table(config, rotary, positions, name, {"layer_type": kind}) for kind, name in kinds.items()}


def _table(config: Any, rotary: Any, positions: int, name: str, of_layers: dict[str, str]) -> Rope:
    if name not in family.ROTARY_TYPES:
        raise UnsupportedError(f"The graph engine does not know angles of the type '{name}', which this model has.")
    device = next(rotary.buffers()).device
    # Behind a length where they would become others no request reaches, only padding.
    last = min(filter(None, (positions, family.fixed_up_to(config), config.max_position_embeddings))) - 1
    position_ids = torch.arange(positions, device=device).clamp(max=last)[None]
    cos, sin = (angles[0] for angles in rotary(torch.zeros(1, device=device), position_ids, **of_layers))
    width, rotated = head_width(config), cos.shape[-1]
    if rotated == width:
        return Rope(cos.contiguous(), sin.contiguous())
    if rotated > width or not family.FAMILIES[config.model_type].rotates_part:
        raise UnsupportedError(
            f"The graph engine rotates whole heads; this model rotates {rotated} of {width} elements."
        )
    rest = cos.new_ones(positions, width - rotated)
    return Rope(torch.cat((cos, rest), dim=1), torch.cat((sin, 0 * rest), dim=1), rotated)
