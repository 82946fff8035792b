"""Answers under load beside those given alone."""

import dataclasses

from scripts.metrics.agreement import agreement
from scripts.metrics.samples import Sample

SAMPLE = Sample("a", "Rain stops play", [5, 6, 7], 0.1, 0.05, [0.05, 0.07, 0.1], "end", 0, 1, 0.1)


def record(**changes):
    answered = {"id": "a", "prompt": "given", "phase": "measured", "error_kind": None,
                "text": " Rain stops play\n", "token_ids": [5, 6, 7]}  # fmt: skip
    return answered | changes


def test_tokens_are_compared_where_both_have_the_models_own():
    found = agreement([SAMPLE], [record(), record(token_ids=[5, 6, 8]), record(token_ids=[5, 6, 8], phase="cool_down")])
    assert (found["compared"], found["same"], found["by_text"]) == (3, 1, 0)
    assert found["examples"][0] == {"id": "a", "alone": "Rain stops play", "load": "Rain stops play"}


def test_headlines_are_compared_where_a_server_gives_no_tokens():
    found = agreement([SAMPLE], [record(token_ids=None), record(token_ids=None, text="Snow stops play")])
    assert (found["compared"], found["same"], found["by_text"]) == (2, 1, 2)
    made = dataclasses.replace(SAMPLE, tokens="retokenised", token_ids=[1])
    assert agreement([made], [record()])["same"] == 1


def test_the_warm_up_failed_requests_and_made_prompts_do_not_count():
    passed_over = [record(phase="warm_up"), record(error_kind="cut"), record(prompt="varied"), record(id="b"),
                   record(text=None)]  # fmt: skip
    assert agreement([SAMPLE], passed_over)["compared"] == 0
