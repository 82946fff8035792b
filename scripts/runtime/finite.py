"""Checks logits for NaN and infinity, which raise no error in greedy decoding: argmax returns some token anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.runtime.errors import EvidenceError

if TYPE_CHECKING:
    import torch


class NotFiniteError(EvidenceError):
    """Logits are NaN or infinite; the message says where."""


class LogitsCheck:
    """A logits processor that only records at which steps logits were finite."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Check the logits of a step, [requests, vocabulary]."""
        import torch

        self.steps.append(torch.isfinite(scores).all())
        return scores

    def found(self) -> str | None:
        """The first step whose logits were not finite, in words."""
        bad = next((step for step, finite in enumerate(self.steps, start=1) if not bool(finite)), None)
        return None if bad is None else f"at step {bad}"


def check(logits: torch.Tensor) -> None:
    """Refuse logits [tokens, vocabulary] that are not all finite.

    Raises:
        NotFiniteError: with the position of the first such token.
    """
    finite = logits.isfinite().all(dim=-1)
    if not bool(finite.all()):
        raise NotFiniteError(f"at token {int((~finite).nonzero()[0, 0]) + 1}")


def of_cache(layers: list[Any]) -> str | None:
    """The first layer whose cached keys or values are not finite, in words; None if all are.

    Of those in 8 bits the scales tell: they are what the largest is.
    """
    bad = next((number for number, layer in enumerate(layers) if not _finite(layer)), None)
    return None if bad is None else f"in what layer {bad} was given"


def _finite(layer: Any) -> bool:
    keys, values = getattr(layer, "scales", None) or (layer.keys, layer.values)
    return bool((keys + values).isfinite().all())


def sentence(technique: str, sample: str, place: str) -> str:
    """The sentence of the technique's row in the report."""
    return (
        f"technique '{technique}' computes NaN or infinity in its logits (sample '{sample}', {place}), so that its "
        "tokens mean nothing; check the checkpoint's weights, or use another dtype."
    )
