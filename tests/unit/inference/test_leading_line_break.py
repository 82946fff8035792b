"""Every engine goes on behind a leading line break, and ends at the one behind text."""

import pytest

from tests.support import tiny_checkpoint
from tests.support.worker_runs import run_worker

PROMPT = "Write: \x13\x14\n\n{summary}\x05"  # ends with a token of its own, 196; holds what prompt lookup finds
CORPUS = (*tiny_checkpoint.CORPUS, *["a\n\nb\n\nc\n\n"] * 9)  # for a token of two line breaks
ENGINES = {
    "generate": {},
    "batches": {"batch_size": 2},
    "static cache": {"engine": "transformers_static"},
    "continuous": {"batch_size": 3, "engine": {"name": "transformers_continuous", "slots": 2}},
    "draft": {"speculation": {"draft": "draft", "tokens": 3}},
    "prompt lookup": {"speculation": {"prompt_lookup": 3}},
    "graph": {"engine": "graph"},
    "graph in batches": {"engine": "graph", "batch_size": 2},
    "graph with a draft": {"engine": "graph", "speculation": {"draft": "draft", "tokens": 3}},
    "graph with prompt lookup": {"engine": "graph", "speculation": {"prompt_lookup": 3}},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A model that writes a line break, two words and an empty line, and what these tokens are."""
    tokenizer = tiny_checkpoint.make_tokenizer(corpus=CORPUS)
    texts = {tokenizer.decode([token]): token for token in range(len(tokenizer))}
    path = [196, texts["\n"], 210, 211, texts["\n\n"]]
    follows = dict(zip(path, [*path[1:], path[0]], strict=True))
    directory = tmp_path_factory.mktemp("checkpoints") / "breaking"
    tiny_checkpoint.make_checkpoint(
        directory, tokenizer=tokenizer, successor=lambda token: follows.get(token, token)
    )  # fmt: skip
    return directory, path[1:]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_leading_line_break_ends_no_answer(written, evaluation_set, engine):
    breaking, tokens = written
    facets = ENGINES[engine]
    draft = breaking if "draft" in engine else None
    run = run_worker(
        breaking, evaluation_set, facets, draft=draft, stop="line_break", prompt=PROMPT, max_new_tokens=7,
        fixed={"new_tokens": 6, "samples": 3},
    )  # fmt: skip
    assert run.outcome["status"] == "ok", run.outcome["reason"]
    assert run.tokens == [tokens] * 3
    assert {sample["stop_reason"] for sample in run.samples} == {"line_break"}
    assert {sample["text"].count("\n") for sample in run.samples} == {3}
    assert [len(sample["token_ids"]) for sample in run.fixed] == [6] * 3
