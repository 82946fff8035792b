"""Lets ``generate`` end an answer at a line break that has text before it, and at no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.runtime.stops import ENDS, Stops, follow

if TYPE_CHECKING:
    import torch


def ending(stops: Stops, prompt_tokens: int) -> dict[str, Any]:
    """Options of one call of ``generate`` with prompts of so many tokens; none where no token is held behind text."""
    if stops.table is None:
        return {}
    from transformers import StoppingCriteria, StoppingCriteriaList

    class BreakBehindText(StoppingCriteria):
        """Follows each row's tokens; the library has their end tokens in a criterion of its own."""

        eos_token_id = None  # of what has this, finished rows are padded

        def __init__(self) -> None:
            self.seen, self.state = prompt_tokens, None

        def __call__(self, input_ids: torch.Tensor, scores: Any, **options: Any) -> torch.Tensor:
            # Speculation puts out several tokens at a time.
            codes = stops.table[input_ids[:, self.seen :]]  # int8 [rows, new tokens]
            self.seen = input_ids.shape[1]
            state = codes[:, 0] & 0 if self.state is None else self.state
            for code in codes.unbind(1):
                state = follow(state, code)
            self.state = state
            return (state & ENDS).bool()

    return {"stopping_criteria": StoppingCriteriaList([BreakBehindText()])}
