"""Facet ``parallel``: spread one model over several processes, each with a device of its own.

``{tensor: n}``: every linear layer's weight is split over n ranks (Megatron-LM; Shoeybi et al., 2019) by transformers'
own sharding. ``{pipeline: n}``: each rank holds a run of layers and hands its activations on (GPipe; Huang et al.,
2019). Under ``generate``, and at batch size 1, one micro-batch is in flight, so pipeline stages take turns and only
save memory. The project's own loop (``engine: graph``) cuts a batch into ``micro_batches``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.runtime.config_fields import field, number
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.generation import Observation
from scripts.runtime.layers import linear_layers, stored_shape
from scripts.runtime.models import Loaded, Process
from scripts.runtime.stages import head_in_layers, split
from scripts.techniques.facet import Facet
from scripts.techniques.registry import method_of

if TYPE_CHECKING:
    import torch


class Parallel(Facet):
    """``{tensor: n}`` or ``{pipeline: n}``."""

    name = "parallel"
    order = 30
    _head_in_layers = 0.0  # of the model that is being loaded

    def resolve(self, value: Any) -> Any:
        """Fill in the other size; ``none`` and sizes of 1 switch the facet off."""
        if value in (None, "none"):
            return None
        sizes = {"tensor": 1, "pipeline": 1} | value
        return None if sizes["tensor"] == sizes["pipeline"] == 1 else sizes

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """One kind at a time; not with speculation; micro-batches are the project's own loop's."""
        if value["tensor"] > 1 and value["pipeline"] > 1:
            raise StudyError("parallel 'tensor' does not compose with parallel 'pipeline'; set one of them.")
        if "micro_batches" in value:
            if value["pipeline"] == 1:
                raise StudyError("parallel 'micro_batches' are parts of a pipeline's batch; set parallel 'pipeline'.")
            if not _runs_micro_batches(facets):
                raise StudyError("parallel 'micro_batches' needs engine 'graph'; add engine: graph.")
            if value["micro_batches"] > (facets.get("batch_size") or 1):
                raise StudyError(
                    f"parallel 'micro_batches' is {value['micro_batches']}, but a batch of "
                    f"{facets.get('batch_size') or 1} has no more parts; raise batch_size, or lower micro_batches."
                )
        if facets.get("speculation"):
            raise StudyError("parallel does not compose with speculation; remove one of the two facets.")

    def processes(self, value: Any) -> int:
        """One process a shard or stage."""
        return value["tensor"] * value["pipeline"]

    def check_model(self, value: Any, config: Any) -> None:
        """Heads and feed-forward width must split evenly over the ranks; a stage needs a layer."""
        plan = "base_model_tp_plan" if value["tensor"] > 1 else "base_model_pp_plan"
        if not field(config, plan):
            kind = "over ranks" if value["tensor"] > 1 else "into pipeline stages"
            raise UnsupportedError(f"transformers has no plan to split a '{config.model_type}' model {kind}.")
        for what in ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"):
            if number(config, what) is None:  # models of several parts have it in each of these
                raise UnsupportedError(
                    f"parallel needs one '{what}', which the configuration of a '{config.model_type}' model lacks."
                )
        if value["pipeline"] > config.num_hidden_layers:
            raise UnsupportedError(
                f"{value['pipeline']} pipeline stages need as many layers; the model has {config.num_hidden_layers}."
            )
        for what in ("num_attention_heads", "num_key_value_heads", "intermediate_size"):
            # Where keys and values have no number of their own, there are as many heads as of queries.
            count = number(config, what)
            if count is not None and count % value["tensor"]:
                raise UnsupportedError(f"the model's {what} of {count} can't be split over {value['tensor']} ranks.")

    def change_config(self, value: Any, config: Any) -> None:
        """Change nothing; note the output head's relative time for balancing the stages."""
        self._head_in_layers = head_in_layers(config)

    def load_options(self, value: Any, process: Process, facets: dict[str, Any]) -> dict[str, Any]:
        """transformers' DistributedConfig."""
        from transformers.distributed import DistributedConfig

        if value["tensor"] > 1:
            return {"distributed_config": DistributedConfig(tp_size=value["tensor"])}
        _balance_stages(self._head_in_layers if _runs_micro_batches(facets) else None)
        return {"distributed_config": DistributedConfig(pp_size=value["pipeline"])}

    def after_load(self, value: Any, loaded: Loaded) -> None:
        """Free the unsharded weights; register the dtype of activations between stages."""
        import torch

        if value["tensor"] > 1:
            _free_other_shards(loaded.model)
        if value["pipeline"] > 1:
            # transformers reads the dtype off the first parameter, which may be a packed one.
            process = loaded.process
            marker = torch.nn.Parameter(torch.empty(0, dtype=process.dtype, device=process.device), requires_grad=False)
            loaded.model.register_parameter("stage_dtype", marker)

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """What this rank holds, and the collectives that ran; the run's evidence gathers every rank's."""
        facts: dict[str, Any] = {
            "rank": loaded.process.rank,
            "world_size": loaded.process.world_size,
            "collectives": seen.collectives,
        }
        if not seen.collectives:
            raise EvidenceError(f"parallel asks for {value}, but no collective ran on rank {loaded.process.rank}.")
        held = _shards(value["tensor"], loaded) if value["tensor"] > 1 else _stage(value["pipeline"], loaded)
        if loaded.generator is None:
            return facts | {"collective_call_time_share": seen.communication_share} | held
        # A loop of the project's own says how it measured its share, and how many micro-batches were in flight.
        return facts | {"communication_share": seen.communication_share} | held | loaded.generator.parallel_facts()


def _runs_micro_batches(facets: dict[str, Any]) -> bool:
    """Whether an engine has stages of equal time work on several parts of a batch at once."""
    engine = method_of("engine", facets)
    return engine is not None and engine.runs_micro_batches


def _balance_stages(head: float | None) -> None:
    """Make transformers balance pipeline stages by time, or (None) use its own split.

    Its own split gives every stage equally many layers, and the last one also the output head.
    """
    from transformers.distributed.pipeline_parallel import PipelineStage

    if not hasattr(PipelineStage, "even_range"):
        PipelineStage.even_range = PipelineStage.layer_range_for_rank

    def equal_time(stage: Any, rank: int, layers: int) -> tuple[int, int]:
        held = split(layers, stage.pp_size, head)[rank]
        return held.start, held.stop

    PipelineStage.layer_range_for_rank = PipelineStage.even_range if head is None else equal_time


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
        local = list(stored_shape(layer))
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
    # The last stage also takes the layers that do not divide evenly, or fewer, for its output head.
    most = len(layers) // size + len(layers) % size
    if _runs_micro_batches(loaded.facets):
        most = len(split(len(layers), size, head_in_layers(loaded.model.config))[loaded.process.rank])
    if not held or len(held) > most:
        raise EvidenceError(f"parallel pipeline {size}: rank {loaded.process.rank} holds {len(held)} of {len(layers)}.")
    # transformers hands one micro-batch from stage to stage, so that stages take turns.
    return {
        "layers_held": held,
        "layers": len(layers),
        "micro_batches_in_flight": 1,
        "kind": "layer sharding: with one micro-batch in flight the stages take turns",
    }


FACET = Parallel()
