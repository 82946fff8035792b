"""Texts that end an answer: cut where they first occur, in every engine, inside tokens and across them."""

import pytest

from scripts.foundation.errors import StudyError
from scripts.inference.prompts import find_stops
from scripts.runtime.stop_texts import StopTexts, Watch
from scripts.runtime.stops import Stops
from scripts.study import configuration, layers
from scripts.techniques.registry import load_facet
from tests.support.worker_runs import run_worker

FACET = load_facet("stop")
PIECES = ["ab", "#", "##c", "de", "\n", "f\ng", ""]


def decode(tokens):
    return "".join(PIECES[token] for token in tokens)


def stops(*texts):
    return Stops([9], {9}, texts=StopTexts(texts, decode))


@pytest.mark.parametrize(
    ("texts", "tokens", "kept", "text"),
    [
        (["###"], [0, 1, 2, 3], [0, 1, 2], "ab"),  # over two tokens
        (["\n"], [0, 5, 3], [0, 5], "abf"),  # inside one
        (["d", "#"], [0, 1, 3], [0, 1], "ab"),  # the first of several
        (["\n"], [4, 0], [4], ""),  # a text is taken as it is, at the beginning too
        (["x"], [0, 1, 3], [0, 1, 3], "ab#de"),
    ],
)
def test_an_answer_ends_with_the_token_that_completes_a_text(texts, tokens, kept, text):
    ending = stops(*texts)
    assert ending.trim(tokens) == kept
    assert ending.text_of(decode(kept)) == text
    assert ending.reason(kept) == ("length" if texts == ["x"] else "text")


@pytest.mark.parametrize("at_once", [1, 3])
def test_who_watches_an_answer_ends_it_where_trimming_does(at_once):
    tokens = [0, 6] * 30 + [1, 6, 2, 3, 3, 3]
    watch, seen = Watch(stops("###").texts), 0
    while not watch.ended:
        watch.add(tokens[seen : seen + at_once])
        seen += at_once
    assert seen - at_once < len(stops("###").trim(tokens)) <= seen


ENGINES = [
    {}, {"kv_cache": "none"}, {"batch_size": 3}, {"engine": "graph"}, {"engine": "graph", "batch_size": 3},
    {"prefix_cache": True, "batch_size": 3},
    {"speculation": {"prompt_lookup": 2}}, {"engine": "graph", "speculation": {"prompt_lookup": 2}},
    {"engine": {"name": "transformers_continuous", "slots": 2}, "batch_size": 3},
]  # fmt: skip


@pytest.mark.parametrize("facets", ENGINES)
def test_every_engine_ends_answers_at_the_same_text(checkpoint, evaluation_set, facets):
    whole = run_worker(checkpoint, evaluation_set, {}, max_new_tokens=12)
    # A text in the middle of the first answer that is in no earlier part of it, over two tokens.
    text = whole.samples[0]["text"]
    stop = next(text[at : at + 2] for at in range(4, len(text)) if text.index(text[at : at + 2]) == at)
    run = run_worker(checkpoint, evaluation_set, {"stop": [stop]} | facets, max_new_tokens=12)
    assert run.outcome["status"] == "ok", run.outcome["reason"]
    first = run.samples[0]
    assert (first["text"], first["stop_reason"]) == (text[: text.index(stop)], "text")
    for sample, longer in zip(run.samples, whole.samples, strict=True):
        assert sample["token_ids"] == longer["token_ids"][: len(sample["token_ids"])]
        assert stop not in sample["text"]
    assert len(first["token_ids"]) < len(whole.tokens[0])


def test_generation_goes_on_no_longer_than_the_text(checkpoint, evaluation_set, monkeypatch):
    from scripts.inference import timed_loop

    whole = run_worker(checkpoint, evaluation_set, {}, max_new_tokens=12)
    text = whole.samples[0]["text"]
    made = []
    trim = Stops.trim

    def noting(self, tokens):
        made.append((tokens, trim(self, tokens)))
        return made[-1][1]

    monkeypatch.setattr(timed_loop.Stops, "trim", noting)
    for facets in ({}, {"engine": "graph"}):
        made.clear()
        run_worker(checkpoint, evaluation_set, {"stop": [text[4:6]]} | facets, max_new_tokens=12)
        assert made
        assert all(out == kept for out, kept in made)


def test_a_special_tokens_text_ends_as_a_token(checkpoint):
    from scripts.inference.loading import load_tokenizer

    tokenizer = load_tokenizer(checkpoint)
    token = tokenizer.all_special_tokens[0]
    found = find_stops(tokenizer, [], [token, "###"])
    assert tokenizer.convert_tokens_to_ids(token) in found.end_tokens
    assert found.texts.texts == ("###",)


@pytest.mark.parametrize("value", ["###", [], [""], [1], ["a"] * 17])
def test_what_ends_nothing_is_refused(value):
    with pytest.raises(StudyError, match="stop is"):
        FACET.check(value, {})


def test_a_study_and_a_sweep_have_texts_to_stop_at():
    sweep = 'sweeps={stops: {technique: kv_cache, facet: stop, values: [line_break, ["\\n", "###"]]}}'
    config = layers.read([], ["select=[kv_cache]", sweep, 'generation={stop: ["###"]}']).config
    found = {technique.name: technique.settings.get("stop") for technique in configuration.check(config)}
    assert found == {"kv_cache": None, "stops_line_break": "line_break", "stops_2": ["\n", "###"]}
    assert config["generation"]["stop"] == ["###"]
