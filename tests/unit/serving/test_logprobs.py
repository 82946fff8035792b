"""Log-probabilities in streams of servers, in the forms that are known."""

import json

import pytest

from scripts.serving import logprobs

LLAMA = {"content": [{"id": 5, "token": "a", "logprob": -0.1, "top_logprobs": [
    {"id": 5, "token": "a", "logprob": -0.1}, {"id": 9, "token": "b", "logprob": -2.6}]}]}  # fmt: skip
VLLM = {"tokens": ["token_id:5"], "token_logprobs": [-0.1], "text_offset": [0],
        "top_logprobs": [{"token_id:5": -0.1, "token_id:9": -2.6, "token_id:11": -4.0}]}  # fmt: skip


def pieces(*found):
    events = [json.dumps({"choices": [{"index": 0, "text": "a", "logprobs": each}]}) for each in found]
    return [(0.1, f"data: {event}\n\n".encode()) for event in events] + [(0.2, b"data: [DONE]\n\n")]


@pytest.mark.parametrize("form", [LLAMA, VLLM])
def test_each_token_has_its_rival_and_the_gap_of_their_logits(form):
    steps = logprobs.read(pieces(form, None, form))
    assert [(step.token, step.rival) for step in steps] == [(5, 9), (5, 9)]
    assert steps[0].margin == pytest.approx(2.5)


def test_a_token_that_was_not_the_likeliest_has_a_gap_below_zero():
    other = {"content": [LLAMA["content"][0] | {"id": 9, "logprob": -2.6}]}
    (step,) = logprobs.read(pieces(other))
    assert (step.rival, step.margin) == (5, pytest.approx(-2.5))


def test_a_token_without_a_rival_has_no_gap():
    alone = {"content": [LLAMA["content"][0] | {"top_logprobs": []}]}
    assert [(step.rival, step.margin) for step in logprobs.read(pieces(alone))] == [(None, None)]


@pytest.mark.parametrize(
    "form",
    [
        None, {}, "text", {"content": 3}, {"content": [{"id": "5", "logprob": -1, "top_logprobs": []}]},
        {"content": [{"id": 5, "logprob": None, "top_logprobs": []}]}, VLLM | {"tokens": ["a"]},
        VLLM | {"token_logprobs": []}, {"tokens": 1},
    ],
)  # fmt: skip
def test_what_is_in_no_known_form_is_none(form):
    assert logprobs.read(pieces(form)) is None
