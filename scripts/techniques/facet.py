"""What every facet can do; a facet overrides what it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from transformers import PreTrainedModel


class UnsupportedError(Exception):
    """The technique can't run on this machine or with these libraries; the message is a sentence for the report."""


class EvidenceError(Exception):
    """What was observed contradicts the settings; the message is a sentence for the report."""


@dataclass
class Process:
    """Where this process stands: its device, its dtype, and its place in the process group."""

    device: torch.device
    dtype: torch.dtype
    rank: int = 0
    world_size: int = 1


@dataclass
class Checkpoint:
    """A checkpoint's tensors on the CPU, before a model is made of them.

    Attributes:
        weights: every tensor by name, in the process's dtype; changed in place, or replaced by others.
        linear: names of the linear layers' weights, each [out, in], the output head left out.
        transposed: those of them that are [in, out] instead.
        unreached: a tensor of weights that no linear layer holds, such as those of experts; None where there is none.
        config: the checkpoint's own transformers configuration.
        model_class: the class of the model.
        process: device and dtype of this process.
        calibration: token ids of training rows, or None where none were given.
        read: reads one tensor anew, as it was before any change.
    """

    weights: dict[str, torch.Tensor]
    linear: list[str]
    config: Any
    model_class: type[PreTrainedModel]
    process: Process
    calibration: list[list[int]] | None
    read: Callable[[str], torch.Tensor]
    transposed: frozenset[str] = frozenset()
    unreached: str | None = None


@dataclass
class Loaded:
    """The models of one run, as loaded, and how they were prepared."""

    model: PreTrainedModel
    process: Process
    facets: dict[str, Any]
    draft: PreTrainedModel | None = None
    companion: Loaded | None = None  # the draft as it was prepared, with facets and notes of its own
    generator: Generator | None = None  # what takes the place of ``model.generate``, if anything does
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass
class ContinuousBatchTrace:
    """What was seen where requests join and leave between the calls of the model: continuous batching.

    Attributes:
        slots: how many requests may be under way together.
        given: for each call of the model, how many tokens each of its sequences was given.
        put_out: how many tokens came out for each request.
    """

    slots: int
    given: list[list[int]]
    put_out: list[int]


@dataclass
class Observation:
    """What was seen while one batch was generated outside the timed ones.

    Attributes:
        prompt_tokens: length of the (padded) prompts in tokens.
        new_tokens: how many tokens were generated, the longest of the batch.
        requests: how many prompts the batch held.
        prompt_lengths: tokens of each prompt without its padding.
        forward_lengths: for each call of the model, how many tokens of each sequence it was given; the most, where
            requests join between the calls.
        forward_rows: for each call of the model, how many sequences it was given.
        padded_left: whether all padding stood before the prompts.
        cache: the cache that generation returned, or None.
        collectives: calls of each torch.distributed operation, by name.
        communication_share: share of the sample's time inside the calls that start them, 0 to 1; a backend that waits
            for its peers elsewhere spends more.
        trace: more of each call where requests join and leave between them; None where a batch stays as it is.
        not_finite: where logits were NaN or infinite, in words; None where all were finite.
    """

    prompt_tokens: int
    new_tokens: int
    requests: int
    prompt_lengths: list[int]
    forward_lengths: list[int]
    forward_rows: list[int]
    padded_left: bool
    cache: Any
    collectives: dict[str, int]
    communication_share: float
    trace: ContinuousBatchTrace | None = None
    not_finite: str | None = None


@dataclass
class Generated:
    """What one batch put out.

    Attributes:
        moments: when each token was seen by the host, on ``time.perf_counter``'s clock.
        tokens: the token ids of each request, as many as there are moments, beyond its end too.
        own_moments: the moments of each request's tokens, where requests don't go in step; None where they do.
    """

    moments: list[float]
    tokens: list[list[int]]
    own_moments: list[list[float]] | None = None

    def rows(self) -> list[tuple[list[float], list[int]]]:
        """Of each request, when each token was seen, and the tokens."""
        moments = [self.moments] * len(self.tokens) if self.own_moments is None else self.own_moments
        return list(zip(moments, self.tokens, strict=True))


class Generator:
    """What takes the place of ``model.generate``: a decode loop of the project's own, or another one; greedy."""

    own_thread = False  # whether the model is run in another thread than the one that calls ``generate``

    def reserve(self, batches: list[list[list[int]]], new_tokens: int) -> None:
        """Compile and allocate whatever those batches of prompts (token ids) need, for up to so many new tokens."""

    def limit(self, new_tokens: int, stops: list[int]) -> None:
        """From now on put out so many tokens at most, or up to one of the stop tokens."""
        raise NotImplementedError

    def generate(self, prompts: list[list[int]]) -> Generated:
        """Generate one batch; returns when every request has stopped or is long enough."""
        raise NotImplementedError

    def observe(self, prompts: list[list[int]]) -> Observation:
        """Generate one batch and say what was run."""
        raise NotImplementedError

    def forward_times(self) -> dict[str, float | None]:
        """``target_forward_s`` and ``draft_forward_s``: a typical step of each model after the prompt, in seconds."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What it did, for the evidence of the facet that made it."""
        return {}

    def recorder(self) -> SampleRecorder | None:
        """What counts per-sample facts, if the loop has any."""
        return None

    def close(self) -> None:
        """End what runs beside the process's main thread."""


class Facet:
    """One axis of a technique. Values are plain JSON; None means that the facet is off."""

    name: str

    def resolve(self, value: Any) -> Any:
        """The value with its shorthand spelled out and its defaults filled in; None when it switches the facet off."""
        return value

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """Refuse a combination that can't work.

        Raises:
            StudyError: ``value`` does not compose with the technique's other ``facets``; the message names both.
        """

    def processes(self, value: Any) -> int:
        """How many processes the facet needs, each with a GPU of its own where there are GPUs."""
        return 1

    def transform_weights(self, value: Any, checkpoint: Checkpoint, notes: dict[str, Any]) -> None:
        """Change a checkpoint's tensors before they are loaded; ``notes`` is kept for the evidence.

        Raises:
            UnsupportedError: the checkpoint's layers have another form than the facet works on.
        """
        raise NotImplementedError

    # Whether transform_weights is to be called: it needs the whole checkpoint in memory.
    transforms_weights = False

    def check_model(self, value: Any, config: Any) -> None:
        """Refuse a model that the facet can't work on, by its transformers configuration.

        Raises:
            UnsupportedError: a sentence that names the figure that does not fit.
        """

    def change_config(self, value: Any, config: Any) -> None:
        """Change the transformers configuration, in place, to that of the model that comes out.

        Called after ``check_model`` and before the later facets' one, so that these judge the changed model.

        Raises:
            UnsupportedError: a sentence that names what does not fit.
        """

    def libraries(self, value: Any) -> tuple[str, ...]:
        """Modules that are imported when the facet acts, whose memory is not the model's."""
        return ()

    def load_options(self, value: Any, process: Process, facets: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments for ``from_pretrained``.

        Raises:
            UnsupportedError: this machine or its libraries can't do it.
        """
        return {}

    def after_load(self, value: Any, loaded: Loaded) -> None:
        """Finish what ``from_pretrained`` can't do by itself."""

    def companion(self, value: Any) -> str | None:
        """The name of a second model that the facet needs, if any."""
        return None

    def companion_facets(self, value: Any) -> dict[str, Any]:
        """The second model's own facets by name, resolved; of those left out it has none."""
        return {}

    def calibration_rows(self, value: Any) -> int:
        """How many training rows the facet must look at before it can act."""
        return 0

    def generation_options(self, value: Any, loaded: Loaded) -> dict[str, Any]:
        """Keyword arguments for ``generate``."""
        return {}

    def reserved_options(self, value: Any, loaded: Loaded, positions: int) -> dict[str, Any]:
        """More of them, once it is known that no prompt with its headline is longer than so many tokens."""
        return {}

    def compiles_shapes(self, value: Any) -> bool:
        """Whether ``generate`` may compile something for the first batch of a shape, on one device or another."""
        return False

    def generator(self, value: Any, loaded: Loaded, pad: int) -> Generator | None:
        """A decode loop that takes the place of ``generate``; ``pad`` is a token for places that nothing looks at."""
        return None

    def recorder(self, value: Any, loaded: Loaded) -> SampleRecorder | None:
        """What counts per-sample facts while samples are timed, if the facet has any."""
        return None

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Facts that prove that the facet was on, as JSON.

        Raises:
            EvidenceError: the facts contradict the settings.
        """
        return {}


class SampleRecorder:
    """Counts facts of one sample at a time; cheap enough to be on while samples are timed."""

    def start(self, prompt_tokens: int) -> None:
        """A sample with a prompt of that many tokens begins."""

    def put_out(self, tokens: list[int]) -> None:
        """A step put out those tokens."""

    def fields(self) -> dict[str, int]:
        """The facts of the sample that just ended, added to its line in samples.jsonl."""
        return {}


def linear_layers(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The linear layers by name, the output head left out (embeddings are not linear layers).

    GPT-2's ``Conv1D`` is one whose weight is stored as [in, out].
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    }


def widths(layer: torch.nn.Module) -> tuple[int, int]:
    """How many features come out of a linear layer, and how many go in."""
    return (layer.nf, layer.nx) if hasattr(layer, "nf") else (layer.out_features, layer.in_features)


def unreached(model: torch.nn.Module) -> str | None:
    """A tensor in which a model keeps several matrices at once, as of experts, so that no linear layer holds them."""
    import torch

    convolutions = torch.nn.Conv1d | torch.nn.Conv2d
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() > 2 and not isinstance(module, convolutions) and min(parameter.shape) > 1:
                return f"{prefix}.{name}"
    return None
