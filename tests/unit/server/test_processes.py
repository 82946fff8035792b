"""The server's processes end together, around an engine that counts."""

import asyncio
import signal

import psutil
import pytest

from scripts.serving.api import Api, Ask
from scripts.serving.client import Client
from tests.unit.server.conftest import process

NAMES = {"prompt_tokens": "prompt"}


@pytest.fixture
def counting(tmp_path, checkpoint):
    with process(tmp_path, "tests.support.counting_server", str(checkpoint)) as made:
        made.wait_until_ready()
        yield made


def ask(server, tokens, meanwhile):
    """An answer; once its first tokens are there, something happens."""

    async def send():
        async with Client(Api(server.url, names=NAMES, token_ids="token_ids"), limit_s=30) as client:
            asked = asyncio.create_task(client.send(Ask(None, (5,), tokens)))
            await asyncio.sleep(0.3)
            meanwhile()
            answer = await asked
            # A busy machine may let what happened take a moment.
            for _ in range(100):
                later = await client.send(Ask(None, (5,), 1))
                if later.error_kind is not None:
                    break
            return answer, later

    return asyncio.run(send())


@pytest.mark.parametrize("victim", ["engine", "front"])
def test_none_of_the_processes_outlives_another(counting, victim):
    processes = counting.processes
    assert len(processes) == 3
    processes[0 if victim == "engine" else 1].kill()
    gone, left = psutil.wait_procs(processes, timeout=10)
    assert not left
    if victim == "front":
        assert next(each.returncode for each in gone if each.pid == counting.process.pid) == 1
        assert "a front of the server has ended by itself" in counting.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_when_asked_to_end_it_answers_what_is_under_way_and_takes_nothing_new(counting, number):
    processes = counting.processes
    answer, later = ask(counting, 250, lambda: counting.process.send_signal(number))
    assert (answer.error, answer.token_ids) == (None, list(range(6, 256)))
    assert later.error_kind in ("refused", "status", "cut")
    assert counting.process.wait(20) == 0
    assert not psutil.wait_procs(processes, timeout=5)[1]
    assert "Traceback" not in counting.log.read_text()


def test_each_of_many_requests_at_once_gets_every_token(counting):
    async def send():
        async with Client(Api(counting.url, names=NAMES, token_ids="token_ids"), limit_s=30) as client:
            return await asyncio.gather(*[client.send(Ask(None, (place,), 40)) for place in range(200)])

    for place, answer in enumerate(asyncio.run(send())):
        assert answer.token_ids == [(place + step) % 300 for step in range(1, 41)], answer.error
