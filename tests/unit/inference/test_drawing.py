"""Drawn answers in a run: by the prompt, the seed and the draw, and by nothing else."""

import pytest

from tests.support.worker_runs import run_worker

DRAWN = {"temperature": 1.0, "top_p": 0.95, "top_k": None, "seed": 3}


@pytest.fixture(scope="module")
def alone(checkpoint, evaluation_set):
    return run_worker(checkpoint, evaluation_set, {}, sampling=DRAWN, draws=3, thorough=True)


def answers(run):
    """Token ids of each prompt's answers."""
    return [[each["token_ids"] for each in (sample, *sample.get("draws", []))] for sample in run.samples]


@pytest.mark.parametrize(
    "facets",
    [
        {"batch_size": 3}, {"kv_cache": "none"}, {"prefix_cache": True, "batch_size": 3},
        {"engine": "transformers_static"}, {"engine": "graph"}, {"engine": "graph", "batch_size": 3},
        {"engine": {"name": "graph", "shared_prefix": True}, "batch_size": 2},
        {"speculation": {"prompt_lookup": 3}}, {"engine": "graph", "speculation": {"prompt_lookup": 3}},
    ],
    ids=str,
)  # fmt: skip
def test_every_engine_and_batch_draws_the_same(checkpoint, evaluation_set, alone, facets):
    run = run_worker(checkpoint, evaluation_set, facets, sampling=DRAWN, draws=3)
    assert run.outcome["status"] == "ok", run.outcome["reason"]
    assert answers(run) == answers(alone)
    assert run.outcome["generation"]["sampling"] == DRAWN
    assert run.outcome["generation"]["draws"] == 3


@pytest.mark.parametrize("engine", [{}, {"engine": "graph"}], ids=str)
def test_a_draft_draws_with_the_targets_noise(checkpoint, evaluation_set, alone, engine):
    facets = engine | {"speculation": {"draft": "draft", "tokens": 3}}
    run = run_worker(checkpoint, evaluation_set, facets, draft=checkpoint, sampling=DRAWN, draws=3)
    assert answers(run) == answers(alone)
    assert run.evidence["speculation"]["acceptance_rate"] == 1  # the draft is the target
    assert all(draw["accepted_tokens"] for sample in run.samples for draw in sample["draws"])


def test_answers_depend_on_the_seed_and_the_draw(checkpoint, evaluation_set, alone):
    greedy = run_worker(checkpoint, evaluation_set, {})
    other = run_worker(checkpoint, evaluation_set, {}, sampling=DRAWN | {"seed": 4})
    assert len({str(tokens) for tokens in (*zip(*answers(alone), strict=True),)}) == 3
    assert len({str(run.tokens) for run in (alone, greedy, other)}) == 3
    assert "draws" not in greedy.samples[0]


def test_the_tokens_are_those_that_the_noise_draws_again_and_not_the_most_likely_ones(alone):
    drawn = [each for sample in alone.samples for each in (sample, *sample["draws"])]
    for each in drawn:
        assert each["argmax_agrees"] == each["new_tokens"]
        assert min(each["margins"]) >= 0
    assert sum(each["most_likely"] for each in drawn) < sum(each["new_tokens"] for each in drawn)


def test_each_draw_is_timed_in_a_pass_of_its_own(alone):
    for sample in alone.samples:
        for each in (sample, *sample["draws"]):
            assert 0 < each["ttft_s"] <= each["latency_s"] <= each["batch_time_s"]
            assert each["batch"] == sample["batch"]


def test_a_temperature_near_nought_is_greedy(checkpoint, evaluation_set):
    drawn = {"temperature": 1e-4, "top_p": 1, "top_k": None, "seed": 0}
    cold = run_worker(checkpoint, evaluation_set, {"batch_size": 2}, sampling=drawn, stop="line_break")
    assert cold.tokens == run_worker(checkpoint, evaluation_set, {"batch_size": 2}, stop="line_break").tokens
