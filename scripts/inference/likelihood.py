"""What the model as run thinks of two texts: of its own headline, and of the reference headline.

Both are read in one forward each (teacher forcing), after the timed samples. Its own headline shows that decoding was
greedy and how near a tie each choice was; the reference's negative log-likelihood is sensitive where ROUGE is not.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from scripts.techniques.facet import Loaded


def own_choices(loaded: Loaded, prompt: list[int], generated: list[int]) -> dict[str, Any]:
    """How each generated token compares with its best rival.

    Args:
        loaded: the technique's model.
        prompt: token ids of the prompt.
        generated: token ids that were put out after it.

    Returns:
        ``margins``: per token the best logit less the second best; ``runners_up``: the second-best token ids;
        ``argmax_agrees``: how many of the generated tokens are the best one.
    """
    logits = _logits(loaded, prompt, generated)  # [generated, vocabulary]
    best = logits.topk(2, dim=-1)
    margins = (best.values[:, 0] - best.values[:, 1]).tolist()
    agrees = sum(int(first == token) for first, token in zip(best.indices[:, 0].tolist(), generated, strict=True))
    return {
        "margins": [round(margin, 6) for margin in margins],
        "runners_up": best.indices[:, 1].tolist(),
        "argmax_agrees": agrees,
    }


def reference_likelihood(loaded: Loaded, prompt: list[int], reference: list[int], stops: list[int]) -> dict[str, Any]:
    """Negative log-likelihood of a reference headline and of stopping after it.

    Any of the stop tokens counts as stopping: their probabilities are added up.

    Returns:
        ``reference_nll`` in nats, summed over the headline's tokens and the stop; ``reference_tokens``: how many.
    """
    import torch

    # The last input is the headline's last token, whose output is the stop.
    logits = _logits(loaded, prompt, [*reference, stops[0]])  # [reference + 1, vocabulary]
    likelihoods = logits.log_softmax(dim=-1)
    tokens = torch.tensor(reference, device=logits.device, dtype=torch.long)
    words = likelihoods[:-1].gather(1, tokens[:, None]).sum()
    stop = likelihoods[-1, torch.tensor(stops, device=logits.device)].logsumexp(dim=0)
    return {"reference_nll": float(-(words + stop)), "reference_tokens": len(reference) + 1}


def _logits(loaded: Loaded, prompt: list[int], following: list[int]) -> torch.Tensor:
    """Logits that predict each of the ``following`` tokens, float32 [following, vocabulary]."""
    import torch

    model, count = loaded.model, len(following)
    ids = torch.tensor([[*prompt, *following[:-1]]], device=loaded.process.device)
    options = {"logits_to_keep": count} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **options).logits
    return logits[0, -count:].float()
