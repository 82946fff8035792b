"""The client against a server with known timings and faults."""

import asyncio
import itertools
import time

import pytest

from scripts.foundation.errors import StudyError
from scripts.serving import api as kinds
from scripts.serving import stream
from scripts.serving.client import Answer, Api, Ask, Client
from scripts.serving.loop import run_exactly
from tests.support import sse_server

NAMES = {"prompt_tokens": "prompt", "stop_tokens": "stop_token_ids"}
IDS = {"names": NAMES, "token_ids": "token_ids"}
PROMPT = tuple(range(20))


@pytest.fixture(scope="module")
def server():
    options = {"slots": 0, "service_s": 0.08, "first_s": 0.04, "tokens": 9, "tokens_per_chunk": 2, "model": "m"}
    with sse_server.started(**options, token_ids="token_ids", continuous_usage=True, stall_s=5) as running:
        yield running


def ask(server, *asks, limit_s=10.0, due=None, **options):
    api = Api(server.url, **({"model": "m"} | options))

    async def all_of_them():
        async with Client(api, limit_s) as client:
            return [await client.send(one, due) for one in asks]

    answers = run_exactly(all_of_them())
    return answers if len(asks) > 1 else answers[0]


def faulty(fault, **options):
    return Ask("one two three", PROMPT, 9, extra={"fault": fault}, **options)


@pytest.mark.parametrize(("kind", "path"), [("completions", "/v1/completions"), ("chat", "/v1/chat/completions")])
def test_an_answer_has_the_text_the_tokens_and_the_moments_of_its_chunks(server, kind, path):
    answer = ask(server, Ask("one two three", None, 9), kind=kind, path=path, token_ids="token_ids")
    assert answer.error is None
    assert answer.text == " t0 t1 t2 t3 t4 t5 t6 t7 t8"
    assert answer.token_ids == list(range(9))
    assert (answer.prompt_tokens, answer.new_tokens) == (3, 9)  # by usage: there are 5 chunks
    assert [ids for _, _, ids in answer.chunks] == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    assert (answer.finish_reason, answer.status_code) == ("length", 200)
    served = server.requests()[-1]
    assert answer.sent < served.arrived < served.first < answer.first < served.ended < answer.last <= answer.ended
    # A chat's first chunk, which holds the role alone and comes at once, is no token.
    assert served.first - served.arrived >= 0.04
    assert served.ended - served.arrived >= 0.08


def test_ids_go_out_in_place_of_the_text_where_the_api_takes_them(server):
    ask(server, Ask("a text", PROMPT, 4, stop_tokens=(2,), stop_text=("\n",)), **IDS)
    assert server.requests()[-1].prompt == list(PROMPT)
    ask(server, Ask("a text", PROMPT, 4))
    assert server.requests()[-1].prompt == "a text"


def test_a_body_has_the_servers_own_names_and_the_fields_that_are_given():
    api = Api("http://h", model="m", body={"temperature": 0}, names=NAMES | {"max_tokens": "n_predict"})
    body = api.asked(Ask("text", PROMPT, 4, (2,), ("\n",), {"ignore_eos": True}))
    assert body == {
        "model": "m", "prompt": list(PROMPT), "n_predict": 4, "stop_token_ids": [2], "stop": ["\n"], "stream": True,
        "stream_options": {"include_usage": True}, "temperature": 0, "ignore_eos": True,
    }  # fmt: skip


@pytest.mark.parametrize("wanted", [Ask(None, PROMPT), Ask("text", stop_tokens=(2,))])
def test_what_an_api_can_not_express_is_said(wanted):
    with pytest.raises(StudyError):
        Api("http://h").asked(wanted)


def test_usage_in_each_chunk_tells_the_tokens_of_each(server):
    continuous = {"include_usage": True, "continuous_usage_stats": True}
    assert ask(server, faulty(""), stream_options=continuous, **IDS).totals == [2, 4, 6, 8, 9]
    assert ask(server, faulty(""), **IDS).totals == [None] * 5


def test_latency_can_be_counted_from_when_a_request_was_due(server):
    due = time.perf_counter() - 3
    answer = ask(server, faulty(""), due=due)
    assert answer.due == due
    assert answer.sent > due + 3


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("status429", kinds.STATUS, 'status 429: "Too many requests."'),
        ("status500", kinds.STATUS, 'status 500: "CUDA error: an illegal\\n memory access."'),
        ("status503", kinds.STATUS, "status 503"),
        ("html", kinds.NOT_API, "Welcome to nginx"),
        ("garbage", kinds.NOT_API, "no JSON"),
        ("empty", kinds.NOT_API, "without a token"),
        ("cut", kinds.CUT, "closed the connection before the answer was complete"),
        ("stream_error", kinds.STREAM_ERROR, "is\\u001b[31m dead"),
        ("no_usage", kinds.NO_USAGE, "no usage"),
        ("wrong_counts", kinds.WRONG_COUNTS, "1009 new tokens where at most 9"),
    ],
)
def test_each_fault_is_an_answer_with_a_kind_and_one_sentence(server, fault, kind, words):
    answer = ask(server, faulty(fault))
    assert answer.error_kind == kind
    assert not answer.ok
    assert words in answer.error
    assert answer.error.endswith(".")
    assert answer.error.isprintable()  # one line, nothing that steers a terminal
    assert ask(server, faulty("")).ok  # and the server is asked again


@pytest.mark.parametrize(("fault", "words"), [("hang", "no token was there"), ("stall", "the last token was not")])
def test_a_server_that_does_not_go_on_is_a_timeout(server, fault, words):
    answer = ask(server, faulty(fault), limit_s=0.2)
    assert answer.error_kind == kinds.TIMEOUT
    assert words in answer.error
    assert answer.ended - answer.sent == pytest.approx(0.2, abs=0.1)


def test_a_model_that_is_not_served_is_the_servers_word(server):
    answer = ask(server, faulty(""), model="other")
    assert (answer.error_kind, answer.status_code) == (kinds.STATUS, 404)
    assert "`other` does not exist" in answer.error


def test_a_prompt_of_other_tokens_than_were_sent_is_found():
    answer = Answer(0, 0)
    usage = b'{"prompt_tokens": 21, "completion_tokens": 1}'
    body = b'data: {"choices": [{"text": "a", "finish_reason": "stop"}], "usage": %b}\n\ndata: [DONE]\n\n' % usage
    stream.read(answer, [(0.0, body)], Api("http://h", names=NAMES), Ask("a", PROMPT), "", whole=True)
    assert answer.error == "the server counts 21 tokens in a prompt of 20."


def test_nothing_at_the_address_is_refused():
    answer = ask(sse_server.Started(None, sse_server.free_port()), Ask("text"))
    assert answer.error_kind == kinds.REFUSED
    assert "Connect" in answer.error


def test_a_server_that_dies_inside_an_answer_cuts_it():
    with sse_server.started(dies_after=1, tokens=4) as dying:
        first, second, third = ask(dying, Ask("a"), Ask("b"), Ask("c"))
    assert first.ok
    assert (second.error_kind, second.text) == (kinds.CUT, " t0 t1")
    assert third.error_kind in (kinds.REFUSED, kinds.CUT)  # the connection may be made before the port is closed


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_events_are_read_however_their_bytes_are_split(size):
    body = (
        b": a comment\r\nevent: x\r\nid: 1\r\ndata: {\"choices\": [{\"text\": \"h\xc3\xa9\"}]}\r\n\r\n"
        b"data:{\"choices\":\ndata: [{\"text\": \"!\", \"finish_reason\": \"stop\"}]}\n\ndata: [DONE]"
    )  # fmt: skip
    pieces = [(float(at), body[at : at + size]) for at in range(0, len(body), size)]
    found = [data for _, data in stream.events(pieces, whole=True)]
    assert len(found) == 3
    answer = Answer(0, 0)
    stream.read(answer, pieces, Api("http://h"), Ask("a"), "text/event-stream", whole=True)
    assert (answer.text, answer.finish_reason, answer.error_kind) == ("hé!", "stop", kinds.NO_USAGE)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000, b"1", b"[]", b"null", b"{}", b'{"choices": {}}', b'{"choices": [1]}',
        b'{"choices": [{"text": 1}]}', b'{"choices": [{"text": "a", "finish_reason": 2}]}',
        b'{"choices": [{"text": "a", "token_ids": [1.5]}]}', b'{"choices": [], "usage": [1]}',
        b'{"choices": [], "usage": {"prompt_tokens": true, "completion_tokens": -1}}',
    ],
)  # fmt: skip
def test_json_of_a_wrong_form_is_no_traceback(data):
    answer = Answer(0, 0)
    stream.read(answer, [(0.0, b"data: %b\n\n" % data)], Api("http://h", **IDS), Ask("a"), "", whole=True)
    assert answer.error_kind == kinds.NOT_API
    assert len(answer.error) < 250


def test_an_error_field_of_the_stream_is_an_error():
    answer = Answer(0, 0)
    stream.read(answer, [(0.0, b'error: {"message": "no slot"}\n\n')], Api("http://h"), Ask("a"), "", whole=True)
    assert answer.error_kind == kinds.STREAM_ERROR
    assert "no slot" in answer.error


def test_a_plain_event_loop_serves_too(server):
    async def one():
        async with Client(Api(server.url, model="m")) as client:
            return await client.send(Ask("text", None, 9))

    assert asyncio.run(one()).ok


def test_one_slot_serves_in_turn_by_the_clock():
    async def together(url):
        async with Client(Api(url)) as client:
            return await asyncio.gather(*(client.send(Ask(f"prompt {number}")) for number in range(5)))

    with sse_server.started(slots=1, service_s=0.02, tokens=4) as server:
        answers = run_exactly(together(server.url))
        served = server.requests()
    assert all(answer.ok for answer in answers)
    for before, after in itertools.pairwise(served):
        assert after.due_begin == before.due_end
    for one in served:
        assert one.due_end - one.due_begin == pytest.approx(0.02)
        assert 0 <= one.ended - one.due_end < 0.02  # as measured: no chunk is early


def test_a_server_that_is_not_ready_says_so_and_counts_what_it_served():
    import urllib.error
    import urllib.request

    with sse_server.started(never_ready=True, tokens=4, service_s=0) as server:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            server.get("/health")
        same, again = ask(server, Ask("a b c", None, 4), Ask("a b c", None, 4))
        assert same.ok
        assert again.ok
        with urllib.request.urlopen(server.url + "/metrics") as page:
            text = page.read().decode()
    for counted in ("requests_total 2", "prompt_tokens_total 6", "generation_tokens_total 8", "cache_hits_total 1"):
        assert f"sse_{counted}\n" in text.replace("prefix_", "")
