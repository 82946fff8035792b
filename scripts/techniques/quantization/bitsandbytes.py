"""Base class of bitsandbytes' methods: loading, sharding, and the settings and bytes of quantised layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.layers import linear_layers
from scripts.techniques.methods import Method
from scripts.techniques.quantization.layers import local_weight, refuse_bias, refuse_no_layers, replace, stored_facts

if TYPE_CHECKING:
    import torch

    from scripts.runtime.generation import Observation
    from scripts.runtime.models import Loaded, Process
    from scripts.runtime.place import Place


class BitsAndBytesMethod(Method, ABC):
    """A method that transformers applies while it loads, or each rank to its shards.

    Attributes:
        module_class: class of the quantised layers.
        stored: dtype of their packed weights.
    """

    module_class: str
    stored: str

    @abstractmethod
    def config(self, value: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
        """Arguments of ``BitsAndBytesConfig``."""

    @abstractmethod
    def quantized(self, value: dict[str, Any], shard: torch.Tensor, dtype: torch.dtype) -> torch.nn.Module:
        """A layer of a dense weight [out, in] on the CPU; it is packed when it is moved."""

    @abstractmethod
    def asked(self, value: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
        """Settings that every layer must have."""

    @abstractmethod
    def found(self, layer: Any) -> dict[str, Any]:
        """The same settings as a layer has them."""

    @abstractmethod
    def analytic_bytes(self, layer: Any) -> float:
        """Bytes of what this process holds of a quantised layer, by the method's definition."""

    def further_facts(self, asked: dict[str, Any], layers: list[Any]) -> dict[str, Any]:
        """What else there is to say of the layers."""
        return {}

    def check_layers(self, model: torch.nn.Module, process: Process) -> None:
        """Refuse widths that the library can't multiply.

        Raises:
            UnsupportedError: a sentence that names the layer.
        """

    def libraries(self, value: Any) -> tuple[str, ...]:
        """bitsandbytes, and what transformers uses it by."""
        return ("bitsandbytes", "transformers.integrations.bitsandbytes")

    def check_machine(self, value: Any, place: Place) -> None:
        """The library must be there."""
        from importlib.util import find_spec

        if find_spec("bitsandbytes") is None:
            raise UnsupportedError("bitsandbytes is not installed; install it with envs/requirements.txt.")

    def load_options(self, value: Any, process: Process, facets: dict[str, Any]) -> dict[str, Any]:
        """A BitsAndBytesConfig; a tensor-parallel model is quantised shard by shard after loading instead."""
        if _is_sharded(facets):
            return {}
        from transformers import BitsAndBytesConfig

        return {"quantization_config": BitsAndBytesConfig(**self.config(value, process.dtype))}

    def after_load(self, value: Any, loaded: Loaded) -> None:
        """Quantise each rank's shards, since bitsandbytes' packed weights can't be sharded once packed."""
        refuse_no_layers(value["method"], loaded.model)
        if _is_sharded(loaded.facets):
            self.quantize_shards(value, loaded.model, loaded.process)
        else:
            self._refuse_left_out(value["method"], loaded.model)
        self.check_layers(loaded.model, loaded.process)

    def quantize_shards(self, value: dict[str, Any], model: torch.nn.Module, process: Process) -> None:
        """Replace every sharded linear layer by a quantised one of this rank's shard, keeping its collectives."""

        def packed(name: str, layer: torch.nn.Module) -> torch.nn.Module:
            refuse_bias(name, layer)
            return self.quantized(value, local_weight(layer).cpu(), process.dtype).to(process.device).eval()

        replace(model, packed)

    def _refuse_left_out(self, method: str, model: torch.nn.Module) -> None:
        """transformers leaves linear layers of a class of their own, such as Falcon's, as they are."""
        import torch

        for name, layer in linear_layers(model).items():
            if type(layer) is not torch.nn.Linear and type(layer).__name__ != self.module_class:
                raise UnsupportedError(
                    f"quantization '{method}': transformers quantises plain linear layers alone, and {name} is a "
                    f"{type(layer).__name__}."
                )

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """How many linear layers are quantised, as what class, with what settings and bytes; the library's version."""
        from importlib.metadata import version

        layers = linear_layers(loaded.model)
        facts = stored_facts(
            value["method"], layers, module_class=self.module_class, stored=self.stored, tensor=packed_weight,
            analytic_bytes=self.analytic_bytes,
        )  # fmt: skip
        asked = self.asked(value, loaded.process.dtype)
        found = [self.found(layer) for layer in layers.values()]
        for name, wanted in asked.items():
            other = sorted({str(each[name]) for each in found if each[name] != wanted})
            if other:
                raise EvidenceError(
                    f"quantization '{value['method']}' asks for {name} {wanted}, but layers have {', '.join(other)}."
                )
        return facts | {"bitsandbytes": version("bitsandbytes")} | asked | self.further_facts(asked, [*layers.values()])


def packed_weight(layer: torch.nn.Module) -> torch.Tensor:
    """The tensor that holds a quantised layer's weights; int8 keeps it in the layer's state after its first use."""
    state = getattr(layer, "state", None)
    packed = getattr(state, "CB", None) if state is not None else None
    return packed if packed is not None else layer.weight.data


def bias_bytes(layer: Any) -> int:
    """Bytes of a layer's bias."""
    return 0 if layer.bias is None else layer.bias.numel() * layer.bias.element_size()


def _is_sharded(facets: dict[str, Any]) -> bool:
    return (facets.get("parallel") or {}).get("tensor", 1) > 1
