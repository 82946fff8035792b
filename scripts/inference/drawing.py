"""Draws tokens in place of the most likely ones, so that an answer depends on its prompt and the seed alone.

Each token is drawn by inverting the distribution function at one uniform number, which belongs to the prompt and the
token's position: another order of the prompts, or another batch, draws the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    import torch
    from transformers import LogitsProcessor

    from scripts.runtime.models import Loaded


def uniforms(seed: int, prompt: str, count: int) -> numpy.ndarray:
    """Numbers from 0 to below 1 of a prompt, float64 [count]; more of them begin with the same ones."""
    digest = hashlib.sha256(f"{seed}\n{prompt}".encode()).digest()
    return numpy.random.Generator(numpy.random.PCG64(int.from_bytes(digest[:16], "big"))).random(count)


@dataclass(frozen=True)
class Sampler:
    """How tokens are drawn.

    Attributes:
        temperature: what logits are divided by; above 0.
        top_p: the most likely tokens that reach this probability together are left; 1 leaves all.
        top_k: so many of the most likely tokens are left; None leaves all.
        seed: of the uniform numbers.
    """

    temperature: float
    top_p: float = 1.0
    top_k: int | None = None
    seed: int = 0

    def facts(self) -> dict[str, Any]:
        """The settings, as JSON."""
        return asdict(self)

    def processor(
        self, prompts: list[str], prompt_tokens: int, new_tokens: int, device: torch.device
    ) -> LogitsProcessor:
        """What leaves ``generate`` the drawn token alone of each row, which it takes as the most likely one.

        Args:
            prompts: of each row.
            prompt_tokens: length of the rows before anything is generated.
            new_tokens: the most that are.
            device: where the logits are.
        """
        import torch
        from transformers import LogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        warpers = [TemperatureLogitsWarper(float(self.temperature))]
        warpers += [TopKLogitsWarper(self.top_k)] if self.top_k is not None else []
        warpers += [TopPLogitsWarper(float(self.top_p))] if self.top_p < 1 else []
        rows = numpy.stack([uniforms(self.seed, prompt, new_tokens) for prompt in prompts])
        numbers = torch.from_numpy(rows).to(device)  # float64 [rows, new tokens]

        class Draw(LogitsProcessor):
            def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
                kept = scores.float()
                for warper in warpers:
                    kept = warper(input_ids, kept)
                # float64, since the sum of a large vocabulary in float32 is off by more than its rare tokens have.
                reached = kept.softmax(dim=-1).cumsum(dim=-1, dtype=torch.float64)
                step = input_ids.shape[1] - prompt_tokens
                at = numbers[:, step : step + 1] * reached[:, -1:]
                drawn = torch.searchsorted(reached, at, right=True).clamp(max=scores.shape[1] - 1)
                return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)

        return Draw()


def drawing(loaded: Loaded, prompts: list[str], prompt_tokens: int, options: dict[str, Any]) -> list[LogitsProcessor]:
    """The processors of logits for one call of ``generate`` with these options; none where decoding is greedy."""
    if loaded.sampler is None:
        return []
    most = options["generation_config"].max_new_tokens
    return [loaded.sampler.processor(prompts, prompt_tokens, most, loaded.process.device)]
