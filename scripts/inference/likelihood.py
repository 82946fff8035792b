"""Teacher-forced scores of the generated and the reference headline, one forward pass each, after the timed samples.

The generated headline shows that decoding was greedy, and each token's logit margin; the reference's negative
log-likelihood is more sensitive than ROUGE.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from scripts.inference.drawing import drawn_from

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from scripts.runtime.models import Loaded

DIGITS = 9  # decimals; float32 has no more for a logit above 0.1


def greedy_margins(
    loaded: Loaded, prompt: list[int], generated: list[int], *, rounding: bool = False
) -> dict[str, Any]:
    """Logit margin of each generated token over the best other token.

    Where answers are drawn, the logits are those that carry the filters and the noise (``inference/drawing.py``): a
    drawn token is the largest of them, as a greedy one is of the model's own.

    Args:
        loaded: the technique's model.
        prompt: token ids of the prompt.
        generated: token ids generated after it.
        rounding: also measure how far another order of float32 sums moves the margins; a second forward.

    Returns:
        ``margins``: per token its logit less the best other one, below zero where it was not the best;
        ``runners_up``: those other tokens' ids; ``margin_shifts``: how far each margin moved, None if not measured;
        ``argmax_agrees``: how many of the generated tokens have no better rival; where answers are drawn,
        ``most_likely``: how many have none by the model's own logits.
    """
    import torch

    from scripts.inference.rounding import perturbed_sums

    plain = _logits(loaded, prompt, generated)  # [generated, vocabulary]
    logits = plain if loaded.sampler is None else drawn_from(loaded.sampler, prompt, plain)
    own = torch.tensor(generated, device=logits.device)[:, None]
    rivals = logits.scatter(1, own, -torch.inf).argmax(dim=-1, keepdim=True)

    def margins(logits: torch.Tensor) -> torch.Tensor:
        return (logits.gather(1, own) - logits.gather(1, rivals))[:, 0]

    found, shifts = margins(logits), None
    if rounding:
        with perturbed_sums(loaded.model, seed=0):
            moved = margins(_logits(loaded, prompt, generated)) - margins(plain)
        shifts = (moved if loaded.sampler is None else moved / loaded.sampler.temperature).tolist()
    return {
        "margins": [round(margin, DIGITS) for margin in found.tolist()],
        "runners_up": rivals[:, 0].tolist(),
        "margin_shifts": shifts and [round(shift, DIGITS) for shift in shifts],
        "argmax_agrees": int((found >= 0).sum()),
    } | ({} if loaded.sampler is None else {"most_likely": int((plain.argmax(dim=-1) == own[:, 0]).sum())})


def reference_likelihood(
    loaded: Loaded, prompt: list[int], reference: list[int], stops: list[int],
    keep: Callable[[torch.Tensor], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Negative log-likelihood of a reference headline and of stopping after it.

    Any of the stop tokens counts as stopping: their probabilities are added up. ``keep`` is given the log-probabilities
    of all tokens, float32 [reference + 1, vocabulary].

    Returns:
        ``reference_nll`` in nats, summed over the headline's tokens and the stop; ``reference_tokens``: how many.
    """
    import torch

    # The last input is the headline's last token, whose output is the stop.
    logits = _logits(loaded, prompt, [*reference, stops[0]])  # [reference + 1, vocabulary]
    likelihoods = logits.log_softmax(dim=-1)
    if keep is not None:
        keep(likelihoods)
    tokens = torch.tensor(reference, device=logits.device, dtype=torch.long)
    words = likelihoods[:-1].gather(1, tokens[:, None]).sum()
    stop = likelihoods[-1, torch.tensor(stops, device=logits.device)].logsumexp(dim=0)
    return {"reference_nll": float(-(words + stop)), "reference_tokens": len(reference) + 1}


def _logits(loaded: Loaded, prompt: list[int], following: list[int]) -> torch.Tensor:
    """Logits that predict each of the ``following`` tokens, float32 [following, vocabulary].

    Raises:
        NotFiniteError: they are NaN or infinite.
    """
    import torch

    from scripts.runtime.finite import check

    model, count = loaded.model, len(following)
    ids = torch.tensor([[*prompt, *following[:-1]]], device=loaded.process.device)
    options = {"logits_to_keep": count} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **options).logits
    logits = logits[0, -count:].float()
    check(logits)
    return logits
