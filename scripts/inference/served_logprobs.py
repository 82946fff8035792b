"""A server's own log-probabilities of what it wrote: asked for once more, outside of the timed requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scripts.inference import heartbeat
from scripts.inference.served_requests import Requests
from scripts.serving import logprobs
from scripts.serving.logprobs import Step

DIGITS = 6
NOT_SAID = "not proved: the preset does not say how its API gives log-probabilities with token ids"


def collect(prepared: Requests, prompts: list[str], lines: list[dict[str, Any]]) -> str:
    """Ask for the same prompts again with log-probabilities, and add each token's margin to the lines of samples.

    A line gets ``margins`` and ``runners_up`` where the answer has the very tokens that were timed; of others nothing
    is known.

    Args:
        prepared: asks the server, for texts that stop where the study's do.
        prompts: of the samples, in their order.
        lines: of samples.jsonl, which are changed.

    Returns:
        A sentence for the evidence.
    """
    asked = prepared.running.spec.preset["api"].get("logprobs") or {}
    if "body" not in asked:
        return f"not proved: {asked['without']}" if asked else NOT_SAID
    told = same = 0
    for prompt, line in zip(prompts, lines, strict=True):
        heartbeat.sign(heartbeat.PHASE)
        steps = _steps(prepared, prompt, asked["body"])
        if steps is None:  # an API without them, or a server that hangs, need not be asked a hundred times
            break
        told += 1
        if _fits(steps, line):
            same += 1
            line["margins"] = [round(step.margin, DIGITS) for step in steps[: line["new_tokens"]]]
            line["runners_up"] = [step.rival for step in steps[: line["new_tokens"]]]
    if not told:
        return f"not proved: none of {len(lines)} answers had log-probabilities with token ids"
    return (
        f"asked for apart from the timed requests: {told} of {len(lines)} answers had them, {same} of these with the "
        "tokens that were timed"
    )


def _steps(prepared: Requests, prompt: str, body: dict[str, Any]) -> list[Step] | None:
    """The steps of one answer; a server that fails at it gives none."""
    (ask,) = prepared.asks([prompt], [""])
    made = prepared.exchange(replace(ask, extra=ask.extra | body))
    return logprobs.read(made.pieces) if made.failure is None and made.answer.error_kind is None else None


def _fits(steps: list[Step], line: dict[str, Any]) -> bool:
    """Whether the steps are of the line's tokens, each with a rival; ids made of a text may lack the last, its end."""
    count, ids = line["new_tokens"], line["token_ids"]
    kept = steps[:count]
    return (
        len(kept) == count
        and all(step.margin is not None for step in kept)
        and ([step.token for step in kept][: len(ids)] == ids and count - len(ids) in (0, 1))
    )
