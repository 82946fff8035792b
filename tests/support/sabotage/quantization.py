"""Sabotages of quantisation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from scripts.techniques import load_facet
from tests.support.sabotage.registry import method, sabotage


@sabotage
def not_quantised() -> Iterator[None]:
    with method("quantization", "load_options", {}), method("quantization", "after_load", None):
        yield


@contextlib.contextmanager
def _quantised_with(**changes: Any) -> Iterator[None]:
    """bitsandbytes gets other settings than were asked for."""
    facet = type(load_facet("quantization"))
    make = facet.load_options

    def changed(self: Any, value: Any, process: Any, facets: Any) -> dict[str, Any]:
        options = make(self, value, process, facets)
        for name, setting in changes.items():
            setattr(options["quantization_config"], name, setting)
        return options

    with patch.object(facet, "load_options", changed):
        yield


@sabotage
def other_threshold() -> Iterator[None]:
    with _quantised_with(llm_int8_threshold=0.0):
        yield


@sabotage
def fp4_for_nf4() -> Iterator[None]:
    with _quantised_with(bnb_4bit_quant_type="fp4"):
        yield


@sabotage
def double_quantisation_is_on() -> Iterator[None]:
    with _quantised_with(bnb_4bit_use_double_quant=True):
        yield


@sabotage
def double_quantisation_is_off() -> Iterator[None]:
    with _quantised_with(bnb_4bit_use_double_quant=False):
        yield


@sabotage
def other_compute_dtype() -> Iterator[None]:
    import torch

    with _quantised_with(bnb_4bit_compute_dtype=torch.bfloat16):
        yield


@sabotage
def float_weights_are_kept_beside() -> Iterator[None]:
    import torch

    from scripts.techniques.facet import linear_layers

    facet = type(load_facet("quantization"))
    finish = facet.after_load

    def keeping(self: Any, value: Any, loaded: Any) -> None:
        finish(self, value, loaded)
        for layer in linear_layers(loaded.model).values():
            layer.register_buffer("dense", torch.zeros(layer.out_features, layer.in_features))

    with patch.object(facet, "after_load", keeping):
        yield
