"""Facet ``attention``: which implementation transformers computes attention with.

``eager`` writes out the scores of every pair of tokens; ``sdpa`` is torch's fused operation, which keeps none of them
where its kernels allow it; ``flash_attention_2`` is the flash-attn package (Dao, 2023, arXiv:2307.08691), for GPUs.
Without the facet transformers chooses, which is ``sdpa`` for nearly every model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.techniques.facet import Facet

if TYPE_CHECKING:
    from scripts.runtime.generation import Observation
    from scripts.runtime.models import Loaded, Process
    from scripts.runtime.place import Place

EAGER, SDPA, FLASH = "eager", "sdpa", "flash_attention_2"
#: Engines that compute attention by transformers' dispatch.
STOCK = ("transformers_static",)
PROBED_TOKENS = 4


class Attention(Facet):
    """One of transformers' implementations."""

    name = "attention"
    order = 35

    def resolve(self, value: Any) -> Any:
        """``auto`` leaves the choice to transformers."""
        return None if value == "auto" else value

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """The project's engine and servers have an attention of their own."""
        if value not in (EAGER, SDPA, FLASH):
            raise StudyError(f"attention is {value!r}; use 'auto', '{EAGER}', '{SDPA}' or '{FLASH}'.")
        engine = (facets.get("engine") or {}).get("name")
        if engine is not None and engine not in STOCK:
            raise StudyError(
                f"attention '{value}' does not compose with engine '{engine}', which has an attention of its own; "
                "remove one of the two facets."
            )
        if engine and value == FLASH:
            raise StudyError(f"attention '{FLASH}' does not compose with engine '{engine}', whose cache it can't read.")
        if facets.get("parallel"):
            raise StudyError(f"attention '{value}' does not compose with parallel; remove one of the two facets.")

    def check_machine(self, value: Any, place: Place) -> None:
        """The flash-attn package needs a GPU of the Ampere generation or later."""
        from importlib.util import find_spec

        if value != FLASH:
            return
        if place.device != "cuda":
            raise UnsupportedError(f"attention '{FLASH}' needs a GPU.")
        if place.capability is not None and place.capability < (8, 0):
            found = ".".join(map(str, place.capability))
            raise UnsupportedError(f"attention '{FLASH}' needs compute capability 8.0; this GPU has {found}.")
        if find_spec("flash_attn") is None:
            raise UnsupportedError(
                f"attention '{FLASH}' needs the package flash-attn, which is not installed; install it with "
                "pip install flash-attn --no-build-isolation."
            )

    def check_model(self, value: Any, config: Any) -> None:
        """transformers has not every implementation for every model."""
        from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

        supported = {EAGER: True}
        if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
            model_class = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
            supported |= {SDPA: model_class._supports_sdpa, FLASH: model_class._supports_flash_attn}
        if not supported.get(value, True):
            raise UnsupportedError(f"transformers has no attention '{value}' for '{config.model_type}' models.")

    def load_options(self, value: Any, process: Process, facets: dict[str, Any]) -> dict[str, Any]:
        """``attn_implementation``; the flash-attn package computes in 16 bits."""
        import torch

        if value == FLASH and process.dtype not in (torch.float16, torch.bfloat16):
            dtype = str(process.dtype).removeprefix("torch.")
            raise UnsupportedError(
                f"attention '{FLASH}' computes in float16 or bfloat16, and this model's dtype is {dtype}."
            )
        return {"attn_implementation": value}

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """What the model is set to, and how often a forward pass called torch's fused operation and a softmax."""
        found = loaded.model.config._attn_implementation
        fused, softmaxes = _operations(loaded)
        layers = loaded.model.config.get_text_config().num_hidden_layers
        ran = {
            EAGER: softmaxes >= layers and not fused,
            SDPA: fused >= layers,
            FLASH: not fused and not softmaxes,  # the package's operation is neither
        }
        if found != value or not ran[value]:
            raise EvidenceError(
                f"attention is '{value}', but the model is set to '{found}', and a forward pass of {layers} layers "
                f"called torch's fused attention {fused} times and a softmax {softmaxes} times."
            )
        return {"implementation": found, "layers": layers, "fused_calls": fused, "softmax_calls": softmaxes}


def _operations(loaded: Loaded) -> tuple[int, int]:
    """How often a forward pass of a few tokens calls torch's fused attention, and a softmax."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Counting(TorchFunctionMode):
        fused, softmaxes = 0, 0

        def __torch_function__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
            self.fused += function is torch.nn.functional.scaled_dot_product_attention
            self.softmaxes += function is torch.nn.functional.softmax
            return function(*arguments, **(options or {}))

    tokens = torch.zeros(1, PROBED_TOKENS, dtype=torch.int64, device=loaded.process.device)
    with torch.inference_mode(), Counting() as counting:
        loaded.model(tokens, use_cache=False, logits_to_keep=1)
    return counting.fused, counting.softmaxes


FACET = Attention()
