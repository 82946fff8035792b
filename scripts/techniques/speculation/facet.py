"""Facet ``speculation``: propose several tokens cheaply, verify them in one forward of the target.

``{draft: model, tokens: k}``: a smaller model drafts k tokens (Leviathan et al., 2023; Chen et al., 2023).
``{prompt_lookup: k}``: the proposal is copied from where the last tokens occurred in the prompt (Saxena, 2023).
Greedy verification keeps a proposed token only where the target would have chosen it, so the output is the target's.
``draft_quantization: method`` stores the draft's linear layers as the facet ``quantization`` stores the target's:
drafting reads fewer bytes, and may be accepted less often.
Under the graph engine ``forced_acceptance: a`` accepts drafted tokens by a draw instead: random weights, which agree on
nothing, then show the speed at that acceptance rate, and write nothing that means anything.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.generation import Observation, SampleRecorder
from scripts.runtime.models import Loaded
from scripts.runtime.rounds import Round, RoundCounter
from scripts.techniques.facet import Facet
from scripts.techniques.registry import load_facet, method_of

if TYPE_CHECKING:
    import torch

DRAFT_QUANTIZATION = "draft_quantization"
LOOKUPS = {"PromptLookupCandidateGenerator", "PromptLookup"}  # of transformers, of the graph engine


class Speculation(Facet):
    """``{draft: <model>, tokens: 4}``, with further options of the draft if wanted, or ``{prompt_lookup: 4}``."""

    name = "speculation"
    order = 60

    def resolve(self, value: Any) -> Any:
        """Fill in the number of tokens and spell out the draft's form; ``none`` switches the facet off."""
        if value in (None, "none"):
            return None
        if ("draft" in value) == ("prompt_lookup" in value):
            raise StudyError("speculation needs either 'draft' (a model's name) or 'prompt_lookup' (tokens), not both.")
        given = {key: option for key, option in value.items() if key != DRAFT_QUANTIZATION}
        stored = value.get(DRAFT_QUANTIZATION)
        if stored in (None, "none"):
            return {"tokens": 4} | given if "draft" in given else given
        if "draft" not in given:
            raise StudyError(f"speculation.{DRAFT_QUANTIZATION} needs a draft model; remove it from prompt lookup.")
        return {"tokens": 4} | given | {DRAFT_QUANTIZATION: _resolve_quantization(stored)}

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """Forced acceptance needs a draft, a share, and an engine that supports it."""
        if "forced_acceptance" not in value:
            return
        if "draft" not in value:
            raise StudyError("speculation.forced_acceptance needs a draft model; remove it from prompt lookup.")
        if not 0 <= value["forced_acceptance"] <= 1:
            raise StudyError(f"speculation.forced_acceptance is {value['forced_acceptance']}; use a share from 0 to 1.")
        engine = method_of("engine", facets)
        if engine is None or not engine.forces_acceptance:
            raise StudyError("speculation.forced_acceptance needs engine 'graph'; set engine: graph, or remove it.")

    def companion(self, value: Any) -> str | None:
        """The draft model's name."""
        return value.get("draft")

    def companion_facets(self, value: Any) -> dict[str, Any]:
        """How the draft's linear layers are stored."""
        return {"quantization": value[DRAFT_QUANTIZATION]} if DRAFT_QUANTIZATION in value else {}

    def generation_options(self, value: Any, loaded: Loaded) -> dict[str, Any]:
        """Assisted generation with a constant number of drafted tokens, unless another loop takes its place."""
        if loaded.generator is not None:
            return {}
        if "prompt_lookup" in value:
            return {"prompt_lookup_num_tokens": value["prompt_lookup"]}
        from transformers import GenerationConfig

        # A new one: the checkpoint's own settings would change what is drafted, or how.
        loaded.draft.generation_config = GenerationConfig(
            num_assistant_tokens=value["tokens"],
            num_assistant_tokens_schedule="constant",
            # Drafts would otherwise end early wherever the draft model is unsure.
            assistant_confidence_threshold=0.0,
        )
        return {"assistant_model": loaded.draft}

    def recorder(self, value: Any, loaded: Loaded) -> SampleRecorder:
        """Counts drafted and accepted tokens: the loop's own counts, or from what the target is given to verify."""
        own = loaded.generator is not None
        counter = loaded.generator.recorder() if own else VerificationCounter(loaded, self._limit(value))
        loaded.notes["round_counter"] = counter
        return counter

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Verification rounds and the acceptance histogram of the timed samples."""
        counter: RoundCounter = loaded.notes["round_counter"]
        judged = counter.total_accepted + counter.total_rejected
        facts: dict[str, Any] = {
            "target_calls": counter.total_rounds,
            "drafted_tokens": counter.total_drafted,
            "accepted_tokens": counter.total_accepted,
            "rejected_tokens": counter.total_rejected,
            "acceptance_rate": counter.total_accepted / judged if judged else None,
            "accepted_per_round_histogram": counter.histogram,
            "longest_proposal": counter.longest,
        }
        if counter.longest > self._limit(value):
            raise EvidenceError(
                f"speculation asks for {self._limit(value)} tokens at a time, but {counter.longest} were proposed."
            )
        if loaded.draft is not None:
            facts["draft_calls"] = counter.draft_calls
            if not counter.draft_calls:
                raise EvidenceError("speculation asks for a draft model, but it was never called.")
            if not counter.total_drafted:
                raise EvidenceError("speculation asks for drafted tokens, but none was verified.")
        # Text without a repetition gives lookup nothing to propose: that is no fault, and no speculation.
        elif not counter.generators or not counter.generators <= LOOKUPS:
            raise EvidenceError("speculation asks for prompt lookup, but generation never looked a proposal up.")
        elif not counter.total_drafted:
            raise UnsupportedError(
                "speculation by prompt lookup found nothing to propose: no token came again in any prompt or headline."
            )
        facts["proposed_by"] = sorted(counter.generators)
        if DRAFT_QUANTIZATION in value:
            facts[DRAFT_QUANTIZATION] = _quantization_evidence(value[DRAFT_QUANTIZATION], loaded, seen)
        if "forced_acceptance" in value:
            facts["forced_acceptance"] = value["forced_acceptance"]
            _check_forced(value["forced_acceptance"], counter)
        return facts

    @staticmethod
    def _limit(value: Any) -> int:
        return value.get("tokens") or value["prompt_lookup"]


def _resolve_quantization(value: Any) -> dict[str, Any]:
    """The draft's quantisation with defaults, as the facet ``quantization`` resolves it."""
    # By name, so that techniques without a quantised draft don't depend on that facet's code.
    try:
        return load_facet("quantization").resolve(value)
    except StudyError as error:
        raise StudyError(f"speculation.{DRAFT_QUANTIZATION}: {error}") from None


def _quantization_evidence(value: dict[str, Any], loaded: Loaded, seen: Observation) -> dict[str, Any]:
    """The method's evidence for the draft model."""
    draft = dataclasses.replace(loaded.companion, model=loaded.draft)
    try:
        return load_facet("quantization").evidence(value, draft, seen)
    except EvidenceError as error:
        raise EvidenceError(f"speculation.{DRAFT_QUANTIZATION}: {error}") from None


def _check_forced(share: float, counter: RoundCounter) -> None:
    """The draws of a few requests may lie off their share, but not far."""
    judged = counter.total_accepted + counter.total_rejected
    allowed = 0.1 + 4 * (share * (1 - share) / judged) ** 0.5 if judged else 1.0
    if judged and abs(counter.total_accepted / judged - share) > allowed:
        raise EvidenceError(
            f"speculation forces {share:.0%} of the drafted tokens to be accepted, but "
            f"{counter.total_accepted / judged:.0%} of those judged were."
        )


class VerificationCounter(RoundCounter):
    """Watches the target's forward calls under ``generate``: each verifies one proposal.

    The first call is given the prompt and a proposal, each later one the last accepted token and a proposal.
    """

    def __init__(self, loaded: Loaded, limit: int) -> None:
        super().__init__(limit)
        self.prompt_tokens = 0
        self.proposals: list[torch.Tensor] = []
        self.emitted: list[list[int]] = []
        self.sample_draft_calls = 0
        self._note_generators(loaded.model)
        loaded.model.register_forward_pre_hook(self._target_called, with_kwargs=True)
        if loaded.draft is not None:
            loaded.draft.register_forward_pre_hook(self._draft_called)

    def _note_generators(self, model: Any) -> None:
        make = model._get_candidate_generator

        def noting(*arguments: Any, **options: Any) -> Any:
            generator = make(*arguments, **options)
            self.generators.add(type(generator).__name__)
            return generator

        model._get_candidate_generator = noting

    def _target_called(self, module: Any, args: Any, kwargs: Any) -> None:
        ids = kwargs.get("input_ids")
        ids = (ids if ids is not None else args[0])[0]  # [given]
        # A view: reading it now would make the host wait for the device.
        self.proposals.append(ids[1:] if self.proposals else ids[self.prompt_tokens :])

    def _draft_called(self, module: Any, args: Any) -> None:
        self.sample_draft_calls += 1

    def start(self, prompt_tokens: int) -> None:
        """Forget the sample before."""
        self.prompt_tokens = prompt_tokens
        self.proposals = []
        self.emitted = []
        self.sample_draft_calls = 0

    def generated(self, tokens: list[int]) -> None:
        """A round generated those tokens: the accepted ones and, unless the end came first, the target's own."""
        self.emitted.append(tokens)

    def fields(self) -> dict[str, int]:
        """Rounds, drafted, accepted and rejected tokens of the sample; also added to the run's totals."""
        self.draft_calls += self.sample_draft_calls
        return self.add([_judged(*each) for each in zip(self.proposals, self.emitted, strict=True)])


def _judged(proposal: torch.Tensor, tokens: list[int]) -> Round:
    """How much of a proposal was accepted, from the tokens that were generated."""
    proposed = proposal.tolist()
    accepted = next((at for at, pair in enumerate(zip(proposed, tokens, strict=False)) if pair[0] != pair[1]), None)
    if accepted is None:
        return Round(len(proposed), min(len(proposed), len(tokens)), 0)
    return Round(len(proposed), accepted, 1)


FACET = Speculation()
