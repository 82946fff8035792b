"""What is kept of a server's log-probabilities beside the samples that were timed."""

import json
from types import SimpleNamespace

import pytest

from scripts.inference import served_logprobs
from scripts.serving.api import Ask


class Prepared:
    """Answers with the tokens given for each prompt, or with an error."""

    def __init__(self, answers, logprobs):
        self.answers, self.asked = answers, []
        self.running = SimpleNamespace(spec=SimpleNamespace(preset={"api": {"logprobs": logprobs}}))

    def asks(self, prompts, names):
        return [Ask(prompt, extra={"temperature": 0}) for prompt in prompts]

    def exchange(self, ask):
        self.asked.append(ask.extra)
        tokens = self.answers[ask.text]
        content = [
            {
                "id": token,
                "logprob": -0.1,
                "top_logprobs": [{"id": token, "logprob": -0.1}, {"id": 99, "logprob": -3.1}],
            }
            for token in tokens or []
        ]
        event = json.dumps({"choices": [{"text": "", "logprobs": {"content": content}}]})
        answer = SimpleNamespace(error_kind=None if tokens else "status")
        return SimpleNamespace(pieces=[(0.0, f"data: {event}\n\n".encode())], failure=None, answer=answer)


def lines(*ids, more=0):
    return [{"token_ids": each, "new_tokens": len(each) + more} for each in ids]


def collected(answers, found, logprobs=None):
    prepared = Prepared(answers, {"body": {"logprobs": 5}} if logprobs is None else logprobs)
    return served_logprobs.collect(prepared, list(answers), found), prepared


def test_margins_are_kept_where_the_tokens_are_those_that_were_timed():
    found = lines([1, 2], [3, 4])
    said, prepared = collected({"a": [1, 2], "b": [3, 5]}, found)
    assert (found[0]["margins"], found[0]["runners_up"]) == ([3.0, 3.0], [99, 99])
    assert "margins" not in found[1]
    assert said.endswith("2 of 2 answers had them, 1 of these with the tokens that were timed")
    assert prepared.asked[0] == {"temperature": 0, "logprobs": 5}


def test_an_end_token_that_a_text_does_not_show_is_counted_with_it():
    found = lines([1, 2], more=1)
    collected({"a": [1, 2, 7]}, found)
    assert len(found[0]["margins"]) == 3


@pytest.mark.parametrize(
    ("answers", "logprobs", "said"),
    [
        ({"a": None, "b": None}, None, "not proved: none of 2 answers had log-probabilities with token ids"),
        ({"a": [1]}, {"without": "its API refuses logprobs"}, "not proved: its API refuses logprobs"),
        ({"a": [1]}, {}, served_logprobs.NOT_SAID),
    ],
)
def test_what_can_not_be_had_is_said(answers, logprobs, said):
    told, prepared = collected(answers, lines(*([1] for _ in answers)), logprobs)
    assert told == said
    assert len(prepared.asked) <= 1
