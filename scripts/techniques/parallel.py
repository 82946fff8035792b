"""Facet ``parallel``: spread one model over several processes, each with a device of its own.

``{tensor: n}``: every linear layer's weight is split over n ranks (Megatron-LM; Shoeybi et al., 2019) by transformers'
own sharding. ``{pipeline: n}``: each rank holds a run of layers and hands its activations on (GPipe; Huang et al.,
2019). At batch size 1 one micro-batch is in flight, so that pipeline stages take turns and memory is what they save.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.techniques.facet import EvidenceError, Facet, Loaded, Observation, Process, UnsupportedError, linear_layers

if TYPE_CHECKING:
    import torch


class Parallel(Facet):
    """``{tensor: n}`` or ``{pipeline: n}``."""

    name = "parallel"

    def resolve(self, value: Any) -> Any:
        """Fill in the other size; ``none`` and sizes of 1 switch the facet off."""
        if value in (None, "none"):
            return None
        sizes = {"tensor": 1, "pipeline": 1} | value
        return None if sizes == {"tensor": 1, "pipeline": 1} else sizes

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """One kind at a time; not with speculation."""
        if value["tensor"] > 1 and value["pipeline"] > 1:
            raise StudyError("parallel 'tensor' does not compose with parallel 'pipeline'; set one of them.")
        if facets.get("speculation"):
            raise StudyError("parallel does not compose with speculation; remove one of the two facets.")

    def processes(self, value: Any) -> int:
        """One process a shard or stage."""
        return value["tensor"] * value["pipeline"]

    def check_model(self, value: Any, config: Any) -> None:
        """Heads and feed-forward width must split evenly over the ranks; a stage needs a layer."""
        if value["pipeline"] > config.num_hidden_layers:
            raise UnsupportedError(
                f"{value['pipeline']} pipeline stages need as many layers; the model has {config.num_hidden_layers}."
            )
        for what in ("num_attention_heads", "num_key_value_heads", "intermediate_size"):
            if getattr(config, what) % value["tensor"]:
                raise UnsupportedError(
                    f"the model's {what} of {getattr(config, what)} can't be split over {value['tensor']} ranks."
                )

    def load_options(self, value: Any, process: Process, facets: dict[str, Any]) -> dict[str, Any]:
        """transformers' DistributedConfig."""
        from transformers.distributed import DistributedConfig

        sizes = {"tp_size": value["tensor"]} if value["tensor"] > 1 else {"pp_size": value["pipeline"]}
        return {"distributed_config": DistributedConfig(**sizes)}

    def after_load(self, value: Any, loaded: Loaded) -> None:
        """Free what shards are cut from; tell stages in which number type to hand on."""
        import torch

        if value["tensor"] > 1:
            _free_other_shards(loaded.model)
        if value["pipeline"] > 1:
            # transformers reads the number type off the first parameter, which may be a packed one.
            process = loaded.process
            marker = torch.nn.Parameter(torch.empty(0, dtype=process.dtype, device=process.device), requires_grad=False)
            loaded.model.register_parameter("stage_dtype", marker)

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """What this rank holds, and the collectives that ran; the run's evidence gathers every rank's."""
        facts: dict[str, Any] = {
            "rank": loaded.process.rank,
            "world_size": loaded.process.world_size,
            "collectives": seen.collectives,
            "collective_call_time_share": seen.communication_share,
        }
        if not seen.collectives:
            raise EvidenceError(f"parallel asks for {value}, but no collective ran on rank {loaded.process.rank}.")
        if value["tensor"] > 1:
            return facts | _shards(value["tensor"], loaded)
        return facts | _stage(value["pipeline"], loaded)


def _free_other_shards(model: torch.nn.Module) -> None:
    """On a CPU a shard of rows is a view of the whole weight, which it keeps in memory."""
    for parameter in model.parameters():
        local = getattr(parameter, "_local_tensor", None)
        if local is not None and local.untyped_storage().nbytes() > local.nbytes:
            parameter._local_tensor = local.detach().clone()


def _shards(size: int, loaded: Loaded) -> dict[str, Any]:
    """Shape of the first layer's weights here and as a whole; every linear layer must be split."""
    shapes = {}
    for name, layer in linear_layers(loaded.model).items():
        whole = [layer.out_features, layer.in_features]
        weight = layer.weight
        if hasattr(weight, "to_local"):
            local = list(weight.to_local().shape)
        elif getattr(weight, "quant_state", None) is not None:
            local = list(weight.quant_state.shape)
        else:
            local = list(weight.shape)
        if local[0] * local[1] * size > whole[0] * whole[1] * 1.05 + size * max(whole):
            raise EvidenceError(f"parallel tensor {size}: {name} holds {local} of {whole} on one rank.")
        shapes[name] = {"shard": local, "whole": whole}
    if not shapes:
        raise EvidenceError(f"parallel tensor {size}: rank {loaded.process.rank} holds no linear layer.")
    first = dict(list(shapes.items())[:7])
    return {"sharded_modules": len(shapes), "first_layer_shards": first}


def _stage(size: int, loaded: Loaded) -> dict[str, Any]:
    """The layers that this rank holds."""
    layers = loaded.model.model.layers
    held = [index for index, layer in enumerate(layers) if any(True for _ in layer.parameters())]
    # The last stage also takes the layers that do not divide evenly.
    if not held or len(held) > len(layers) // size + len(layers) % size:
        raise EvidenceError(f"parallel pipeline {size}: rank {loaded.process.rank} holds {len(held)} of {len(layers)}.")
    # transformers hands one micro-batch from stage to stage, so that stages take turns.
    return {
        "layers_held": held,
        "layers": len(layers),
        "micro_batches_in_flight": 1,
        "kind": "layer sharding: with one micro-batch in flight the stages take turns",
    }


FACET = Parallel()
