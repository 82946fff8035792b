"""Sabotages of quantisation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from scripts.techniques.registry import load_facet
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


@contextlib.contextmanager
def _loaded_and(change: Callable[[Any], None]) -> Iterator[None]:
    """The loaded model's layers are quantised, and then something is done to the model."""
    facet = type(load_facet("quantization"))
    finish = facet.after_load

    def changed(self: Any, value: Any, loaded: Any) -> None:
        finish(self, value, loaded)
        change(loaded.model)

    with patch.object(facet, "after_load", changed):
        yield


@sabotage
def one_layer_stays_dense() -> Iterator[None]:
    import torch

    def change(model: Any) -> None:
        model.model.layers[1].mlp.up_proj = torch.nn.Linear(128, 128, bias=False)

    with _loaded_and(change):
        yield


@sabotage
def stored_as_float() -> Iterator[None]:
    from scripts.runtime.layers import linear_layers

    def change(model: Any) -> None:
        for layer in linear_layers(model).values():
            layer.data = layer.data.float()

    with _loaded_and(change):
        yield


@sabotage
def other_weights_are_stored() -> Iterator[None]:
    from scripts.runtime.layers import linear_layers

    def change(model: Any) -> None:
        for layer in linear_layers(model).values():
            layer.data = layer.data.flip(0)

    with _loaded_and(change):
        yield


@sabotage
def dense_weights_are_multiplied() -> Iterator[None]:
    """A dense copy, which no count of the layers' tensors finds."""
    import torch

    from scripts.techniques.quantization import weight_only_linear

    made, dense = weight_only_linear.quantised, {}

    def keeping(weight: Any, bias: Any, kind: str) -> Any:
        layer = made(weight, bias, kind)
        dense[layer] = weight
        return layer

    def forward(self: Any, x: Any) -> Any:
        return torch.nn.functional.linear(x, dense[self], self.bias)

    with (
        patch.object(weight_only_linear, "quantised", keeping),
        patch.object(weight_only_linear.WeightOnlyLinear, "forward", forward),
    ):
        yield


@sabotage
def eight_bits_for_four() -> Iterator[None]:
    from scripts.techniques.quantization import weight_only_linear

    made = weight_only_linear.quantised

    with patch.object(weight_only_linear, "quantised", lambda weight, bias, kind: made(weight, bias, "int8")):
        yield


@sabotage
def float_weights_are_kept_beside() -> Iterator[None]:
    import torch

    from scripts.runtime.layers import linear_layers

    def change(model: Any) -> None:
        for layer in linear_layers(model).values():
            layer.register_buffer("dense", torch.zeros(layer.out_features, layer.in_features))

    with _loaded_and(change):
        yield
