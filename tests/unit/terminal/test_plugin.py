"""What is shown of Snakemake's events, on a terminal and in a log."""

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.logging import DefaultFilter
from snakemake_interface_logger_plugins.common import LogEvent

from scripts.terminal import plugin, told
from scripts.terminal.told import Step

COMMAND = "set -euo pipefail; python -P -m scripts.generate " + "x" * 15_000


class Stream(io.StringIO):
    """Where the lines go: a terminal, or a file."""

    encoding = "ascii"

    def __init__(self, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plugin, "TOLD", told.Told())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., plugin.LogHandler]]:
    made = []

    def make(stream: Stream, dryrun: bool = False) -> plugin.LogHandler:
        monkeypatch.setattr(sys, "stderr", stream)
        settings = SimpleNamespace(dryrun=dryrun, stdout=False, quiet=set(), verbose=False, printshellcmds=False)
        made.append(plugin.LogHandler(settings, None))
        made[-1].addFilter(DefaultFilter(set(), False, False, dryrun, False))
        return made[-1]

    yield make
    for each in made:
        each.close()


def tell(handler: plugin.LogHandler, event: LogEvent | None = None, message: str = "", **facts: Any) -> None:
    record = logging.LogRecord("snakemake", logging.INFO, "", 1, message, (), None)
    vars(record).update(facts | ({"event": event} if event else {}))
    handler.handle(record)


def start(handler: plugin.LogHandler, job: int, rule: str, message: str, **facts: Any) -> None:
    tell(
        handler, LogEvent.JOB_INFO, jobid=job, rule_name=rule, rule_msg=message, reason="Missing output files: a",
        **({"wildcards": {}, "output": [], "log": [], "shellcmd": COMMAND} | facts),
    )  # fmt: skip
    tell(handler, LogEvent.SHELLCMD, shellcmd=COMMAND)


def fail(handler: plugin.LogHandler, job: int, log: Path) -> None:
    tell(handler, LogEvent.ERROR, f"RuleException:\nCalledProcessError in file x, line 1:\n{COMMAND}", exception="R")
    tell(
        handler, LogEvent.JOB_ERROR, jobid=job, rule_name="prepare_model", rule_msg=None, log=[str(log)], aux={},
        shellcmd=COMMAND,
    )  # fmt: skip


def two_runs() -> None:
    steps = [Step(1, "run 1 of nf4", "generate", "nf4", 60.0), Step(2, "run 2 of nf4", "generate", "nf4", 60.0)]
    plugin.TOLD.steps = {step.job: step for step in steps}


def test_a_finished_step_is_a_line_with_what_is_left_where_there_is_no_terminal(handler) -> None:
    two_runs()
    made = handler(stream := Stream())
    tell(made, None, "Building DAG of jobs...")
    start(made, 1, "generate", "run 1 of nf4", wildcards={"technique": "nf4", "run": "1"})
    tell(made, LogEvent.JOB_FINISHED, job_id=1)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "2 steps, roughly 2 min."
    assert lines[1].startswith("1/2  run 1 of nf4, 0.0 s; ")
    assert len(lines) == 2
    assert not set(stream.getvalue()) & set("\r\x1b")


def test_a_terminal_has_a_live_line_which_goes_at_the_end(handler) -> None:
    two_runs()
    made = handler(stream := Stream(terminal=True))
    start(made, 1, "generate", "run 1 of nf4", wildcards={"technique": "nf4", "run": "1"})
    assert made._live_line()[0] == "run 1 of 2: nf4, about 2 min left"
    tell(made, LogEvent.JOB_FINISHED, job_id=1)
    made.close()
    shown = stream.getvalue()
    assert "run 1 of 2: nf4" in shown
    assert "1/2  run 1 of nf4, 0.0 s\n" in shown
    assert "\x1b[?25l" not in shown  # a cursor that is hidden stays hidden after a kill


def test_a_run_that_cannot_be_made_here_says_why(handler, tmp_path: Path) -> None:
    made = handler(stream := Stream())
    reason = "Needs 2 GPUs; this machine has 1 GPU to use.\x1b[2J"
    (tmp_path / "run.json").write_text(json.dumps({"status": "unsupported", "reason": reason}), encoding="utf-8")
    start(made, 1, "generate", "run 1 of wide", output=["samples.jsonl", "run.json"])
    tell(made, LogEvent.JOB_FINISHED, job_id=1)
    assert ": unsupported: Needs 2 GPUs; this machine has 1 GPU to use.[U+001B][2J" in stream.getvalue()


LOGS = {
    "its own sentence": ("INFO begun\nerror: models.small: out of luck.\n", "models.small: out of luck"),
    "a traceback": ("Traceback (most recent call last):\n    File x\n  KeyError: 'a'\n", "KeyError: 'a'"),
    "nothing": ("", "it ended without a word; it may have been killed, as when memory runs out"),
    "control characters": ("error: \x1b[2Jgone.\n", "[U+001B][2Jgone"),
}


@pytest.mark.parametrize("log", LOGS)
def test_a_job_that_fails_is_a_sentence_and_its_log(handler, tmp_path: Path, log: str) -> None:
    written, sentence = LOGS[log]
    (path := tmp_path / "small.log").write_text(written, encoding="utf-8")
    made = handler(stream := Stream())
    start(made, 1, "prepare_model", "model small", wildcards={"model": "small"})
    fail(made, 1, path)
    tell(made, LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.", exception="W")
    tell(made, None, "Complete log(s): /x/.snakemake/log/a.log")
    made.close()
    first, second = stream.getvalue().splitlines()
    assert first == f"error: model small: {sentence}; the log is {path}."
    assert second == (
        "1 step failed; the same command tries again what is missing. Snakemake's own log is /x/.snakemake/log/a.log."
    )


def test_an_interrupt_is_one_line(handler, tmp_path: Path) -> None:
    made = handler(stream := Stream(terminal=True))
    start(made, 1, "prepare_model", "model small")
    begun = len(stream.getvalue())
    tell(made, None, "Terminating processes on user request, this might take some time.")
    fail(made, 1, tmp_path / "gone.log")
    tell(made, None, "error: nf4 failed.")
    tell(made, LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.", exception="W")
    made.close()
    lines = [line for line in stream.getvalue()[begun:].splitlines() if "Interrupted" in line or "error" in line]
    assert len(lines) == 1
    assert lines[0].endswith("Interrupted; the jobs are ended, and the same command goes on from here.")


def test_other_errors_and_what_is_not_known_are_shown_shortened(handler) -> None:
    made = handler(stream := Stream())
    tell(made, LogEvent.ERROR, "LockException:\nError: Directory cannot be locked. --unlock", exception="LockException")
    tell(made, None, f"A word of another plugin. {COMMAND}")
    assert "Directory cannot be locked. --unlock" in stream.getvalue()
    assert "A word of another plugin." in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) <= plugin.WIDEST


def test_nothing_to_be_done_still_names_the_report(handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin.conclusion, "of_report", lambda: "The report is /x/results/report.html")
    made = handler(stream := Stream())
    tell(made, None, "Nothing to be done (all requested files are present and up to date).")
    assert "report" not in stream.getvalue()
    plugin.TOLD.report = True
    tell(made, None, "Nothing to be done (all requested files are present and up to date).")
    assert stream.getvalue().splitlines()[1:] == [
        "Nothing to be done: everything is there and up to date.",
        "The report is /x/results/report.html",
    ]


def test_a_dry_run_has_a_short_line_for_each_job_and_counts_them(handler) -> None:
    made = handler(stream := Stream(), dryrun=True)
    stats = {"generate": 2, "all": 1, "score": 1, "total": 4}
    tell(made, LogEvent.RUN_INFO, "Job stats:", stats=stats)
    start(made, 1, "generate", "run 1 of nf4")
    start(made, 0, "all", "")
    made.close()
    first, last = stream.getvalue().splitlines()
    assert first.split("  ")[0] == "run 1 of nf4"
    assert first.endswith("not made yet")
    assert last == "3 steps would run: 2 runs, 1 technique's figures."


def test_drawing_the_live_line_waits_for_no_event(handler) -> None:
    """The thread that draws holds the screen, for which an event waits while it holds the handler's state."""
    two_runs()
    made = handler(Stream(terminal=True))
    start(made, 1, "generate", "run 1 of nf4", wildcards={"technique": "nf4", "run": "1"})
    drawn: list[object] = []
    with made._state:
        thread = threading.Thread(target=lambda: drawn.append(made._live_line()), daemon=True)
        thread.start()
        thread.join(timeout=5)
    assert drawn
