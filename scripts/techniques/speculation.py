"""Facet ``speculation``: propose several tokens cheaply, verify them in one forward of the target.

``{draft: model, tokens: k}``: a smaller model drafts k tokens (Leviathan et al., 2023; Chen et al., 2023).
``{prompt_lookup: k}``: the proposal is copied from where the last tokens occurred in the prompt (Saxena, 2023).
Greedy verification keeps a proposed token only where the target would have chosen it, so the output is the target's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.techniques.facet import EvidenceError, Facet, Loaded, Observation, SampleRecorder

if TYPE_CHECKING:
    import torch


class Speculation(Facet):
    """``{draft: <model>, tokens: 4}`` or ``{prompt_lookup: 4}``."""

    name = "speculation"

    def resolve(self, value: Any) -> Any:
        """Fill in the number of tokens; ``none`` switches the facet off."""
        if value in (None, "none"):
            return None
        if ("draft" in value) == ("prompt_lookup" in value):
            raise StudyError("speculation needs either 'draft' (a model's name) or 'prompt_lookup' (tokens), not both.")
        return {"tokens": 4} | value if "draft" in value else dict(value)

    def companion(self, value: Any) -> str | None:
        """The draft model's name."""
        return value.get("draft")

    def generation_options(self, value: Any, loaded: Loaded) -> dict[str, Any]:
        """Assisted generation with a constant number of drafted tokens."""
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
        """Counts drafted and accepted tokens from the lengths that the target is given to verify."""
        return VerificationCounter(loaded, self._limit(value))

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Verification rounds and the acceptance histogram of the timed samples."""
        counter: VerificationCounter = loaded.notes["verification_counter"]
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
        # Text without a repetition gives lookup nothing to propose, so that it was asked is what can be proved.
        elif counter.generators != {"PromptLookupCandidateGenerator"}:
            raise EvidenceError("speculation asks for prompt lookup, but generation never looked a proposal up.")
        facts["proposed_by"] = sorted(counter.generators)
        return facts

    @staticmethod
    def _limit(value: Any) -> int:
        return value.get("tokens") or value["prompt_lookup"]


class VerificationCounter(SampleRecorder):
    """Watches the target's forward calls: each verifies one proposal.

    The first call is given the prompt and a proposal, each later one the last accepted token and a proposal. A proposed
    token is accepted when it is put out, rejected when the target put out another in its place, and not judged when it
    stands behind a rejected one or behind the end.
    """

    def __init__(self, loaded: Loaded, limit: int) -> None:
        self.prompt_tokens = 0
        self.proposals: list[torch.Tensor] = []
        self.emitted: list[list[int]] = []
        self.sample_draft_calls = 0
        self.histogram = [0] * (limit + 1)
        self.longest = 0  # tokens of a proposal
        self.total_rounds = self.total_drafted = self.total_accepted = self.total_rejected = self.draft_calls = 0
        self.generators: set[str] = set()  # classes of what proposed
        loaded.notes["verification_counter"] = self
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

    def put_out(self, tokens: list[int]) -> None:
        """A round put out those tokens: the accepted ones and, unless the end came first, the target's own."""
        self.emitted.append(tokens)

    def fields(self) -> dict[str, int]:
        """Rounds, drafted, accepted and rejected tokens of the sample; also added to the run's totals."""
        drafted = accepted = rejected = 0
        for proposal, tokens in zip(self.proposals, self.emitted, strict=True):
            proposed = proposal.tolist()
            self.longest = max(self.longest, len(proposed))
            taken = next(
                (at for at, pair in enumerate(zip(proposed, tokens, strict=False)) if pair[0] != pair[1]), None
            )
            if taken is None:
                taken = min(len(proposed), len(tokens))
            else:
                rejected += 1
            drafted += len(proposed)
            accepted += taken
            self.histogram[min(taken, len(self.histogram) - 1)] += 1
        self.total_rounds += len(self.proposals)
        self.total_drafted += drafted
        self.total_accepted += accepted
        self.total_rejected += rejected
        self.draft_calls += self.sample_draft_calls
        return {
            "drafted_tokens": drafted,
            "accepted_tokens": accepted,
            "rejected_tokens": rejected,
            "rounds": len(self.proposals),
        }


FACET = Speculation()
