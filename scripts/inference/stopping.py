"""Lets ``generate`` end an answer at a line break that has text before it, or at a text, and go on else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.runtime.stop_texts import Watch
from scripts.runtime.stops import ENDS, Stops, follow

if TYPE_CHECKING:
    import torch


def ending(stops: Stops, prompt_tokens: int) -> dict[str, Any]:
    """Options of one call of ``generate`` with prompts of so many tokens; none where end tokens are all that ends."""
    if stops.table is None and stops.texts is None:
        return {}
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Following(StoppingCriteria):
        """Follows each row's new tokens; the library has their end tokens in a criterion of its own."""

        eos_token_id = None  # of what has this, finished rows are padded

        def __init__(self) -> None:
            self.seen, self.state = prompt_tokens, None

        def __call__(self, input_ids: torch.Tensor, scores: Any, **options: Any) -> torch.Tensor:
            # Speculation puts out several tokens at a time.
            new = input_ids[:, self.seen :]  # [rows, new tokens]
            self.seen = input_ids.shape[1]
            return self.follow(new)

    class BreakBehindText(Following):
        def follow(self, new: torch.Tensor) -> torch.Tensor:
            codes = stops.table[new]  # int8 [rows, new tokens]
            state = codes[:, 0] & 0 if self.state is None else self.state
            for code in codes.unbind(1):
                state = follow(state, code)
            self.state = state
            return (state & ENDS).bool()

    class AtText(Following):
        """The library's own looks at the prompt too, and only at where the newest token ends."""

        def follow(self, new: torch.Tensor) -> torch.Tensor:
            if self.state is None:
                self.state = [Watch(stops.texts) for _ in new]
            ended = [watch.add(tokens) for watch, tokens in zip(self.state, new.tolist(), strict=True)]
            return new.new_tensor(ended).bool()

    criteria = [
        kind() for kind, wanted in ((BreakBehindText, stops.table), (AtText, stops.texts)) if wanted is not None
    ]
    return {"stopping_criteria": StoppingCriteriaList(criteria)}
