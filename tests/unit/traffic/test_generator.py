"""The processes that send."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from scripts.foundation.errors import StudyError
from scripts.serving.client import Api, Ask
from scripts.traffic.generator import ROOT, generating
from scripts.traffic.messages import Setup
from scripts.traffic.prompts import Prompts

SETUP = Setup(Api("http://127.0.0.1:9"), Prompts([Ask("a b c d"), Ask("e f g h")], 0), 5.0)
HOLD = """
import sys, time
from tests.unit.traffic.test_generator import SETUP, generating
with generating(SETUP, 2) as generator:
    generator.begin(1, "constant", 0.1, None, 0)
    print("on", flush=True)
    time.sleep(60)
"""


def test_a_sending_process_that_dies_is_one_sentence():
    with generating(SETUP, 1) as generator:
        generator.begin(1, "constant", 0.1, None, 0)
        (process,) = generator._processes
        os.kill(process.popen.pid, signal.SIGKILL)
        process.popen.wait()
        with pytest.raises(StudyError, match=r"was killed \(signal 9\)"):
            generator.news(5)


def test_sending_processes_end_with_the_one_that_leads_them():
    with subprocess.Popen([sys.executable, "-c", HOLD], cwd=ROOT, stdout=subprocess.PIPE, text=True) as leader:
        assert leader.stdout.readline() == "on\n"
        senders = psutil.Process(leader.pid).children()
        assert len(senders) == 2
        leader.kill()
        gone, alive = psutil.wait_procs(senders, timeout=10)
    assert (len(gone), alive) == (2, [])


@pytest.mark.parametrize(("rate", "processes"), [(10, 1), (10_000, max(1, len(os.sched_getaffinity(0)) // 2))])
def test_as_many_processes_send_as_the_rate_needs_and_half_of_the_cores_have(rate, processes):
    with generating(SETUP) as generator:
        assert generator.processes_for(rate) == processes
