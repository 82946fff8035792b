"""The whole server over HTTP: fronts and the engine's process."""

import asyncio
import json
import random
import socket
import struct
import time
import urllib.error
import urllib.request

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from scripts import serve
from scripts.engine.engine import GraphEngine
from scripts.inference.prompts import find_stops
from scripts.runtime.models import Loaded, Process
from scripts.runtime.stops import Stops
from scripts.serving import logprobs, placeholders, presets, proof
from scripts.serving.api import Api, Ask
from scripts.serving.client import Client
from scripts.serving.launch import ServerSpec, Values, attached
from scripts.serving.metrics import parse, total
from tests.unit.server.conftest import LENGTH, SLOTS, started

NEW = 12
NAMES = {"stop_tokens": "stop_token_ids", "stop_text": "stop", "prompt_tokens": "prompt"}


@pytest.fixture(scope="module")
def tokenizer(checkpoint):
    return AutoTokenizer.from_pretrained(checkpoint)


@pytest.fixture(scope="module")
def alone(checkpoint):
    """What the graph engine writes after a prompt that stands alone, up to its end token or the limit."""
    model = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    engine = GraphEngine(Loaded(model, Process(torch.device("cpu"), torch.float32), {}), shared_prefix=False, pad=2)
    engine.reserve([[[1] * (LENGTH - NEW)]], NEW)
    engine.limit(NEW, [])
    return lambda prompt: engine.generate([prompt]).tokens[0]


def prompts(count, seed=0):
    drawn = random.Random(seed)
    return [[drawn.randrange(3, 320) for _ in range(drawn.randint(1, LENGTH - NEW))] for _ in range(count)]


def ask_all(server, asks, **options):
    async def send():
        api = Api(server.url, model="writer", names=NAMES, token_ids="token_ids", **options)
        async with Client(api, limit_s=30) as client:
            return await asyncio.gather(*map(client.send, asks))

    return asyncio.run(send())


def post(server, body, path="/v1/completions"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, data), timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def get(server, path):
    with urllib.request.urlopen(server.url + path, timeout=30) as response:
        return response.read().decode()


def counted(server, name):
    return total(parse(get(server, "/metrics")), f"udaciheadline_{name}")


def until(condition, limit_s=10.0):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def test_many_requests_at_once_get_the_tokens_that_each_gets_alone(server, alone):
    drawn = random.Random(1)
    asks, expected = [], []
    for prompt in prompts(24):
        tokens = alone(prompt)
        limit, stops = drawn.randint(1, NEW), tuple(drawn.sample(tokens, drawn.randint(0, 2)))
        asks.append(Ask(None, tuple(prompt), limit, stops, extra={"ignore_eos": True}))
        cut = next((place + 1 for place, token in enumerate(tokens[:limit]) if token in stops), limit)
        expected.append((tokens[:cut], "stop" if tokens[cut - 1] in stops else "length"))
    answers = ask_all(server, asks)
    assert [answer.error for answer in answers] == [None] * len(asks)
    assert [(answer.token_ids, answer.finish_reason) for answer in answers] == expected
    assert [answer.new_tokens for answer in answers] == [len(tokens) for tokens, _ in expected]
    assert all(len(answer.chunks) > 1 for answer in answers if answer.new_tokens > 3)
    evidence = json.loads(get(server, "/evidence"))
    assert evidence["facets"]["engine"]["slots"] == SLOTS
    assert evidence["counts"]["late_captures_total"] == 0
    assert counted(server, "requests_running") == 0


def test_the_text_is_that_of_the_tokens_whatever_the_pieces(server, tokenizer):
    texts = ["The mayor of Norwich", "Shares fell — 4 % — «überall» 日本", "x"]
    streamed = ask_all(server, [Ask(text, None, NEW) for text in texts])
    for text, answer in zip(texts, streamed, strict=True):
        status, whole = post(server, {"prompt": text, "max_tokens": NEW})
        choice = whole["choices"][0]
        assert status == 200
        assert choice["token_ids"] == answer.token_ids
        assert answer.text == choice["text"] == tokenizer.decode(answer.token_ids, skip_special_tokens=True)
        prompt = len(tokenizer(text)["input_ids"])
        assert (answer.prompt_tokens, whole["usage"]["total_tokens"]) == (prompt, prompt + answer.new_tokens)


def test_a_text_to_stop_at_ends_the_answer_before_it(server, tokenizer):
    prompt = prompts(1, seed=5)[0]
    whole = ask_all(server, [Ask(None, tuple(prompt), NEW)])[0].text
    stop = whole[4:7]
    asks = [Ask(None, tuple(prompt), NEW, stop_text=(stop, "never written")), Ask(None, tuple(prompt), NEW)]
    stopped, other = ask_all(server, asks)
    assert stopped.text == whole[: whole.index(stop)]
    assert stopped.finish_reason == "stop"
    assert stopped.new_tokens < NEW
    assert other.text == whole
    assert post(server, {"prompt": prompt, "max_tokens": NEW, "stop": stop})[1]["choices"][0]["text"] == stopped.text


def test_an_end_token_ends_an_answer_unless_it_is_to_be_ignored(tmp_path, server, alone, tokenizer):
    prompt = next(each for each in prompts(400, seed=2) if tokenizer.eos_token_id not in alone(each)[:3])
    tokens = alone(prompt)
    body = {"prompt": prompt, "max_tokens": NEW, "stop_token_ids": [tokens[2]]}
    for ignore in (False, True):
        choice = post(server, body | {"ignore_eos": ignore})[1]["choices"][0]
        # Tokens that the client names end it whatever becomes of the model's own.
        assert choice["token_ids"] == tokens[: tokens.index(tokens[2]) + 1]
        assert choice["text"] == tokenizer.decode(choice["token_ids"][:-1])


def test_a_leading_line_break_ends_no_answer_where_the_client_says_so(server, alone, tokenizer):
    breaks = find_stops(tokenizer, [], "line_break")
    stops = sorted(breaks.held.tokens)
    prompt = next(each for each in prompts(4000, seed=5) if alone(each)[0] in breaks.held.tokens)
    body = {"prompt": prompt, "max_tokens": NEW, "stop_token_ids": stops, "ignore_eos": True}
    assert post(server, body)[1]["choices"][0]["token_ids"] == alone(prompt)[:1]
    answered = post(server, body | {"stop_after_text": True})[1]["choices"][0]["token_ids"]
    assert answered == Stops(stops, set(), breaks.held).trim(alone(prompt))
    assert len(answered) > 1


def test_log_probabilities_are_told_to_who_asks_as_the_model_has_them(server, checkpoint, tokenizer):
    prompt = prompts(1, seed=6)[0]
    body = {"prompt": prompt, "max_tokens": NEW, "logprobs": 3, "return_tokens_as_token_ids": True}
    choice = post(server, body)[1]["choices"][0]
    told, ids = choice["logprobs"], choice["token_ids"]
    assert told["tokens"] == [f"token_id:{token}" for token in ids]
    model = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    with torch.inference_mode():
        values = model(torch.tensor([prompt + ids[:-1]])).logits[0, len(prompt) - 1 :].log_softmax(dim=-1)
    assert told["token_logprobs"] == pytest.approx(values.max(dim=-1).values.tolist(), abs=1e-4)
    for own, best in zip(values, told["top_logprobs"], strict=True):
        at = {f"token_id:{token}": own[token].item() for token in own.topk(3).indices.tolist()}
        assert best == pytest.approx(at, abs=1e-4)
    # As texts, which is what the API has where nobody asks for ids; and nobody else is told.
    texts = post(server, body | {"return_tokens_as_token_ids": False})[1]["choices"][0]["logprobs"]["tokens"]
    assert texts == [tokenizer.decode([token]) for token in ids]
    assert post(server, {"prompt": prompt, "max_tokens": NEW})[1]["choices"][0]["logprobs"] is None


def test_a_study_reads_the_gaps_of_the_logits_from_a_stream(server):
    prompt = prompts(1, seed=6)[0]
    asked = presets.read("udaciheadline")["api"]["logprobs"]["body"]
    body = {"prompt": prompt, "max_tokens": NEW, "stream": True, **asked}
    request = urllib.request.Request(server.url + "/v1/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as response:
        steps = logprobs.read([(0.0, response.read())])
    assert [step.token for step in steps] == ask_all(server, [Ask(None, tuple(prompt), NEW)])[0].token_ids
    assert all(step.margin >= 0 and step.rival != step.token for step in steps)


def test_what_is_no_route_is_an_error_in_json(server):
    status, answer = post(server, {}, "/v1/embeddings")
    assert (status, answer["error"]["message"]) == (404, "Not Found: POST /v1/embeddings.")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "no JSON"),
        ([], 400, "no JSON object"),
        ({}, 400, "one prompt"),
        ({"prompt": []}, 400, "one prompt"),
        ({"prompt": ""}, 400, "empty"),
        ({"prompt": "half of a pair: \ud83d"}, 400, "no Unicode text"),
        ({"prompt": [True]}, 400, "no list of token ids"),
        ({"prompt": [[1], [2]]}, 400, "no list of token ids"),
        ({"prompt": [320]}, 400, "outside 0 to 319"),
        ({"prompt": [-1]}, 400, "outside 0 to 319"),
        ({"prompt": [1], "max_tokens": 0}, 400, "whole number from 1"),
        ({"prompt": [1], "max_tokens": "4"}, 400, "whole number from 1"),
        ({"prompt": [1] * LENGTH}, 400, f"more than the {LENGTH}"),
        ({"prompt": "x" * 9999}, 400, f"more than the {LENGTH}"),
        ({"prompt": "x" * 99999}, 400, "has 99999 characters"),
        ({"prompt": [1], "max_tokens": LENGTH}, 400, f"more than the {LENGTH}"),
        ({"prompt": [1], "model": "other"}, 404, "does not exist"),
        ({"prompt": [1], "temperature": 0.7}, 400, "writes the most likely tokens; start it with a study"),
        ({"prompt": [1], "temperature": "hot"}, 400, 'temperature is "hot"; give a number from 0 to 10'),
        ({"prompt": [1], "seed": -1}, 400, "seed is -1; give a whole number from 0"),
        ({"prompt": [1], "n": 2}, 400, "one answer a request"),
        ({"prompt": [1], "logprobs": 21}, 400, "a whole number from 1 to 20"),
        ({"prompt": [1], "logprobs": True}, 400, "a whole number from 1 to 20"),
        ({"prompt": [1], "stop": [1]}, 400, "stop is no text"),
        ({"prompt": [1], "stop_token_ids": [999]}, 400, "outside 0 to 319"),
        ({"prompt": [1], "stream": "yes"}, 400, "true or false"),
    ],
    ids=str,
)
def test_a_wrong_request_is_told_what_is_wrong(server, body, status, said):
    found, answer = post(server, body)
    assert (found, answer["error"]["code"]) == (status, status)
    assert said in answer["error"]["message"]


def test_a_chat_needs_a_template(server):
    status, answer = post(server, {"messages": [{"role": "user", "content": "x"}]}, "/v1/chat/completions")
    assert (status, answer["error"]["message"]) == (
        400,
        "The model has no chat template; ask /v1/completions.",
    )


def test_the_preset_fits_the_server(server, monkeypatch):
    """How it is started, asked and read."""
    values = Values(model="writer", max_length=LENGTH)
    spec = ServerSpec(presets.read("udaciheadline"), arguments=("--request", "request.json"))
    command = placeholders.words([*spec.preset["command"], *spec.arguments], values.by_name() | {"port": 1})
    monkeypatch.setattr("sys.argv", command[3:])
    arguments = serve._arguments()
    assert (arguments.port, arguments.max_length, arguments.name) == (1, LENGTH, "writer")
    with attached(spec, values, server.url) as running:
        assert running.version == "0.1.0"
        before = running.metrics()
        read = proof.collect(running, before, running.metrics(), [])
        assert set(read["proved"]) == {
            "context length", "greedy decoding", "dtype", "no step recorded under load"
        }  # fmt: skip
        assert proof.reserved_tokens(running, before) == SLOTS * 128

        async def send():
            async with Client(running.api) as client:
                return await client.send(Ask(None, (5, 6), 4, extra=spec.preset["fixed"]))

        assert len(asyncio.run(send()).token_ids) == 4


def test_a_client_that_goes_away_frees_its_slot(server):
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"prompt": [5], "max_tokens": LENGTH - 1, "stream": True, "ignore_eos": True})
    before = counted(server, "new_tokens")
    gone = []
    for _ in range(SLOTS):
        connection = socket.create_connection((host, int(port)))
        connection.sendall(
            f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        connection.recv(1)
        gone.append(connection)
    for connection in gone:
        connection.close()
    until(lambda: counted(server, "requests_running") == 0)
    assert counted(server, "new_tokens") - before < SLOTS * (LENGTH - 1)


def test_clients_that_go_away_at_once_leave_no_traceback(server):
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"prompt": [5], "max_tokens": 4, "stream": True, "ignore_eos": True})
    for _ in range(40):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no goodbye
    until(lambda: counted(server, "requests_running") == 0)
    assert "Traceback" not in server.log.read_text()


def test_a_port_that_is_taken_is_said(server, tmp_path, run):
    port = server.url.rsplit(":", 1)[1]
    with started(tmp_path, run(), "--port", port, "--fronts", "2") as second:
        assert second.process.wait(30) == 1
        assert f"port {port} of 127.0.0.1 can't be listened on" in second.log.read_text()


def test_what_can_not_be_served_is_said_before_anything_is_loaded(tmp_path, run):
    with started(tmp_path, run(engine="transformers")) as refused:
        assert refused.process.wait(30) == 1
        assert refused.log.read_text() == (
            "error: Technique 'tested' runs transformers' generate, which answers one batch after another; use engine "
            "graph or transformers_continuous.\n"
        )
