"""A server that draws its answers: with the study's noise, whoever else is answered."""

import asyncio
import json
import urllib.error
import urllib.request

import pytest
import torch
from transformers import LlamaForCausalLM

from scripts.engine.engine import GraphEngine
from scripts.runtime.drawing import Sampler
from scripts.runtime.models import Loaded, Process
from scripts.serving import placeholders, presets, proof
from scripts.serving.api import Api, Ask
from scripts.serving.client import Client
from scripts.serving.launch import ServerSpec, Values, attached
from tests.support.worker_runs import request
from tests.unit.server.conftest import LENGTH, SLOTS, started

NEW = 10
STUDY = {"temperature": 0.9, "top_p": 0.9, "top_k": None, "seed": 7}
PROMPTS = [[(7 * place + number) % 300 + 3 for place in range(3 + 5 * number)] for number in range(7)]


@pytest.fixture(scope="module")
def server(tmp_path_factory, checkpoint, evaluation_set):
    run = request(checkpoint, evaluation_set, {"engine": "graph"}, sampling=STUDY, draws=1)
    options = ("--max-length", str(LENGTH), "--slots", str(SLOTS), "--fronts", "1", "--name", "writer")
    with started(tmp_path_factory.mktemp("server"), run, *options) as made:
        made.wait_until_ready()
        yield made


@pytest.fixture(scope="module")
def alone(checkpoint):
    """What the graph engine draws after a prompt that stands alone."""
    model = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()

    def write(prompt, **changes):
        own = STUDY | changes
        sampler = Sampler(own["temperature"], own["top_p"], own["top_k"], own["seed"], own.get("draw", 0))
        loaded = Loaded(model, Process(torch.device("cpu"), torch.float32), {}, sampler=sampler)
        engine = GraphEngine(loaded, shared_prefix=False, pad=2)
        engine.reserve([[prompt]], NEW)
        engine.limit(NEW, [])
        return engine.generate([prompt]).tokens[0]

    return write


def answers(server, extras):
    async def send():
        names = {"stop_tokens": "stop_token_ids", "prompt_tokens": "prompt"}
        async with Client(Api(server.url, model="writer", names=names, token_ids="token_ids"), limit_s=30) as client:
            asks = [
                Ask(None, tuple(prompt), NEW, extra={"ignore_eos": True} | extra)
                for prompt, extra in zip(PROMPTS, extras, strict=True)
            ]
            return await asyncio.gather(*map(client.send, asks))

    return [answer.token_ids for answer in asyncio.run(send())]


def test_requests_that_come_together_are_drawn_each_in_its_own_way(server, alone):
    asked = [{}, {"seed": 8}, {"draw": 2}, {"temperature": 2.0}, {"top_p": 0.5}, {"temperature": 0}, {"top_p": 1}]
    written = answers(server, asked)
    for prompt, changes, tokens in zip(PROMPTS, asked, written, strict=True):
        changes = {"temperature": 1e-6} if changes == {"temperature": 0} else changes
        assert tokens == alone(prompt, **changes), changes


def test_the_preset_asks_for_the_studys_noise_and_proves_that_answers_are_drawn(server, alone):
    preset = presets.read("udaciheadline")
    asked = placeholders.fill(
        preset["sampling"], STUDY | {"top_k": preset["no_top_k"], "study_seed": STUDY["seed"], "draw": 3}
    )
    assert answers(server, [asked] * len(PROMPTS)) == [alone(prompt, draw=3) for prompt in PROMPTS]
    with attached(
        ServerSpec(preset), Values(model="writer", max_length=LENGTH, decoding="drawn"), server.url
    ) as running:
        read = proof.collect(running, running.metrics(), running.metrics(), [])
        assert "drawn answers" in read["proved"]


def test_a_filter_that_the_server_was_started_without_is_refused(server):
    body = json.dumps({"prompt": [1], "top_k": 5}).encode()
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(f"{server.url}/v1/completions", body), timeout=30)
    assert "started without that filter" in json.loads(error.value.read())["error"]["message"]
