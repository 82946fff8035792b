"""Runs of engines that are servers: what is written, and one sentence for each thing that a server does wrong."""

import importlib.util
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scripts.inference import worker
from scripts.techniques import registry
from tests.support import served, worker_runs

ANSWERS = {"token_ids": "token_ids", "continuous_usage": True, "tokens": 6, "service_s": 0.002}


def run(checkpoint, evaluation_set, scratch, engine, *, log="run.log", fixed=None, facets=None, **generation):
    facets = {"engine": {"name": "server"} | engine, **(facets or {})}
    request = worker_runs.request(checkpoint, evaluation_set, facets, fixed=fixed, **generation)
    asked = registry.method_of("engine", request["settings"]).asked(request["settings"]["engine"])
    # In a thread of its own, since a browser of another test may have an event loop in this one.
    with ThreadPoolExecutor(1) as own:
        given = request | {"served": asked, "log": str(scratch / log)}
        outcome = own.submit(worker.run, given, 0, scratch).result()
    names = ("samples.jsonl", "fixed.jsonl") if outcome["status"] == "ok" else ()
    lines = [[json.loads(line) for line in (scratch / name).read_text().splitlines()] for name in names]
    return outcome, *(lines or [[], []])


def engine(*, proves=False, **options):
    """The engine's own keys for the test server."""
    made = served.preset(**options)
    made["proves"] = made["proves"][0 if proves else 1 :]
    return made


def test_a_served_run_has_the_samples_and_the_record_of_any_run(checkpoint, evaluation_set, tmp_path):
    asked = engine(**ANSWERS)
    outcome, natural, fixed = run(
        checkpoint, evaluation_set, tmp_path, asked, fixed={"new_tokens": 4, "samples": 2}, facets={"batch_size": 2}
    )
    assert outcome["status"] == "ok", outcome["reason"]
    assert [line["id"] for line in natural] == ["sample-0", "sample-1", "sample-2"]
    assert sorted({line["batch"] for line in natural}) == [0, 1]
    for line in natural + fixed:
        assert len(line["token_times_s"]) == line["new_tokens"] == len(line["token_ids"])
        assert 0 < line["ttft_s"] <= line["latency_s"] <= line["batch_time_s"]
    assert [line["new_tokens"] for line in fixed] == [4, 4]
    evidence = outcome["evidence"]["engine"]
    assert (evidence["version"], evidence["tokens"], evidence["prompts_sent_as"]) == ("1.2.3", "api", "token ids")
    assert evidence["proved"].keys() == {"version"}
    assert [entry["name"] for entry in evidence["unproved"]] == ["greedy decoding"]
    assert outcome["evidence"]["batch_size"] == {"requests_sent_together": 2}
    memory = outcome["memory"]
    assert memory["method"] == "process_tree"
    assert memory["devices"][0]["peak_bytes"] > 1_000_000
    assert (tmp_path / "run.server.log").read_text()


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ({"proves": True}, "invalid", r"sse_prefix_cache_hits_total grew by 1\.0 while samples were timed and not 0"),
        ({"exit_at_start": "no such flag"}, "failed", "ended with status 3 before it was ready; its last line is: no"),
        ({"exit_at_start": "CUDA out of memory"}, "out_of_memory", "test server ran out of memory before it was ready"),
        ({"never_ready": True, "limit": 0.5}, "failed", r"was not ready within 0\.5 s \("),
        ({"fault": "html"}, "failed", "test server: the server answered with .*and not with a stream of events"),
        ({"fault": "status500"}, "failed", "with status 500: .*CUDA error"),
        ({"fault": "no_usage"}, "failed", "the server's stream has no usage"),
        ({"fault": "wrong_counts"}, "failed", "counts 10.. new tokens where at most 12 were asked for"),
        ({"fault": "cut"}, "failed", "test server: "),
        ({"dies_after": 3}, "failed", "test server ended with status 1 while it was asked"),
        ({"model": "theirs"}, "failed", "with status 404"),
    ],
)  # fmt: skip
def test_what_a_server_does_wrong_is_one_sentence(options, status, said, checkpoint, evaluation_set, tmp_path):
    options = dict(options)
    limit = options.pop("limit", None)
    asked = engine(**{**ANSWERS, **options}) | ({"ready_limit_s": limit} if limit else {})
    outcome, *_ = run(checkpoint, evaluation_set, tmp_path, asked)
    assert outcome["status"] == status, outcome
    assert re.search(said, outcome["reason"]), outcome["reason"]
    assert "\n" not in outcome["reason"]


def test_a_hanging_answer_ends_with_a_sentence(checkpoint, evaluation_set, tmp_path, monkeypatch):
    from scripts.inference import served as run_served

    monkeypatch.setattr(run_served, "ANSWER_S", 0.5)
    outcome, *_ = run(checkpoint, evaluation_set, tmp_path, engine(**ANSWERS, fault="hang"))
    assert outcome["status"] == "failed"
    assert "0.5 s" in outcome["reason"]


def test_a_missing_program_makes_the_technique_unsupported(checkpoint, evaluation_set, tmp_path):
    asked = engine(**ANSWERS) | {"executable": "no-such-server", "install": "get it from its makers"}
    outcome, *_ = run(checkpoint, evaluation_set, tmp_path, asked)
    assert outcome["status"] == "unsupported"
    assert outcome["reason"] == "The program no-such-server of test server is not there; get it from its makers."


def test_another_count_of_a_prompts_tokens_is_refused(checkpoint, evaluation_set, tmp_path):
    asked = engine(**ANSWERS)
    asked["api"]["names"]["prompt_tokens"] = None  # it then counts the words of the text
    outcome, *_ = run(checkpoint, evaluation_set, tmp_path, asked)
    assert outcome["status"] == "invalid"
    assert "tokens of a prompt that has" in outcome["reason"]


def test_a_server_without_a_fixed_mode_is_measured_in_the_natural_one_alone(checkpoint, evaluation_set, tmp_path):
    asked = engine(**ANSWERS)
    del asked["fixed"]
    outcome, natural, fixed = run(checkpoint, evaluation_set, tmp_path, asked, fixed={"new_tokens": 4, "samples": 2})
    assert outcome["status"] == "ok"
    assert natural
    assert not fixed
    assert outcome["modes"]["fixed"] is None


def test_an_endpoint_is_asked_where_it_runs_and_stays(checkpoint, evaluation_set, tmp_path):
    made = engine()
    keys = {key: made[key] for key in ("api", "ready", "version", "proves", "metrics")}
    cached = {"name": "no prefix cache", "asked": "nothing", "metric": "sse_prefix_cache_hits_total", "increase": 0}
    keys["proves"] = [*keys["proves"], cached]
    keys["api"]["token_ids"] = "token_ids"
    with served.sse_server.started(**ANSWERS) as server:
        url = f"http://127.0.0.1:{server.port}"
        outcome, natural, _ = run(checkpoint, evaluation_set, tmp_path, {"name": "endpoint", "url": url} | keys)
        assert outcome["status"] == "ok", outcome["reason"]
        assert natural
        assert server.process.poll() is None
    assert outcome["memory"]["note"] == "not measured: the endpoint was started elsewhere"
    assert outcome["memory"]["devices"][0]["peak_bytes"] is None
    said = {entry["name"]: entry["reason"] for entry in outcome["evidence"]["engine"]["unproved"]}
    assert "how it was started" in said
    assert "sse_prefix_cache_hits_total grew by 1.0 while" in said["no prefix cache"]
    outcome, *_ = run(checkpoint, evaluation_set, tmp_path, {"name": "endpoint", "url": url} | keys)
    assert outcome["status"] == "failed"
    assert f"the endpoint {url} is not ready" in outcome["reason"]


@pytest.mark.slow
def test_transformers_serve_writes_what_generate_writes(chain, evaluation_set, tmp_path):
    outcome, natural, fixed = run(
        chain, evaluation_set, tmp_path, {"preset": "transformers_serve"}, fixed={"new_tokens": 5, "samples": 2}
    )
    assert outcome["status"] == "ok", outcome["reason"]
    plain = worker_runs.run_worker(chain, evaluation_set, {})
    assert [line["text"].strip() for line in natural] == [line["text"].strip() for line in plain.samples]
    assert [line["new_tokens"] for line in natural] == [line["new_tokens"] for line in plain.samples]
    assert {line["new_tokens"] for line in fixed} == {5}
    evidence = outcome["evidence"]["engine"]
    assert (evidence["tokens"], evidence["prompts_sent_as"]) == ("retokenised", "text")
    assert evidence["command"][:2] == ["transformers", "serve"]


LLAMA = Path(os.environ.get("UDACIHEADLINE_LLAMA_SERVER", ".llama-cpp/build/bin/llama-server"))


@pytest.mark.slow
@pytest.mark.skipif(
    not LLAMA.is_file() or importlib.util.find_spec("gguf") is None,
    reason="llama.cpp is not set up; make setup-llama-cpp builds it",
)
def test_llama_cpp_writes_what_generate_writes(chain, evaluation_set, tmp_path):
    from tests.support import gguf_model

    model = gguf_model.write(chain, tmp_path / "model.gguf")
    asked = {"preset": "llama_cpp", "executable": str(LLAMA.resolve()), "model": str(model)}
    outcome, natural, fixed = run(chain, evaluation_set, tmp_path, asked, fixed={"new_tokens": 5, "samples": 2})
    assert outcome["status"] == "ok", outcome["reason"]
    plain = worker_runs.run_worker(chain, evaluation_set, {})
    assert [line["text"].strip() for line in natural] == [line["text"].strip() for line in plain.samples]
    assert {line["new_tokens"] for line in fixed} == {5}
    evidence = outcome["evidence"]["engine"]
    assert evidence["proved"]["no prompt cache"]["read"].startswith("prompt_tokens_details.cached_tokens is 0 in all")
    assert evidence["version"]
    assert evidence["log_probabilities"].startswith("asked for apart from the timed requests: 3 of 3 answers had them")
    for line in natural:
        assert len(line["margins"]) == len(line["runners_up"]) == line["new_tokens"]
        assert min(line["margins"]) >= 0  # each token is the likeliest


def test_texts_to_stop_at_are_sent_beside_the_end_tokens(checkpoint, evaluation_set, tmp_path):
    outcome, _, _ = run(checkpoint, evaluation_set, tmp_path, engine(**ANSWERS), facets={"stop": ["##", "\n"]})
    assert outcome["status"] == "ok", outcome["reason"]
    assert outcome["evidence"]["stop"]["stops_asked"][1:] == ["##", "\n"]


def test_a_server_that_takes_no_texts_says_so(checkpoint, evaluation_set, tmp_path):
    asked = engine(**ANSWERS)
    asked["api"]["names"]["stop_text"] = None
    outcome, _, _ = run(checkpoint, evaluation_set, tmp_path, asked, stop=["##"])
    assert outcome["status"] == "unsupported"
    assert "test server takes no texts to stop at" in outcome["reason"]


def test_a_servers_answers_are_asked_to_be_drawn_and_its_noise_is_its_own(checkpoint, evaluation_set, tmp_path):
    fields = {"temperature": "{temperature}", "top_p": "{top_p}", "top_k": "{top_k}", "seed": "{seed}"}
    asked = engine(**ANSWERS) | {"sampling": fields, "no_top_k": -1}
    drawn = {"temperature": 0.7, "top_p": 0.9, "top_k": None, "seed": 3}
    outcome, natural, _ = run(checkpoint, evaluation_set, tmp_path, asked, sampling=drawn, draws=2)
    assert outcome["status"] == "ok", outcome["reason"]
    assert all(len(line["draws"]) == 1 and line["draws"][0]["latency_s"] > 0 for line in natural)
    said = outcome["generation"]
    assert (said["sampling"], said["draws"], said["noise"]) == (drawn, 2, "the server's own")
    assert "temperature" not in said
    assert outcome["evidence"]["engine"]["log_probabilities"].startswith("not asked for")
