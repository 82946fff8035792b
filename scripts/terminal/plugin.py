"""A logger plugin of Snakemake: a line for each finished step, a live line, errors in a sentence, dry runs in lines.

profiles/default/config.yaml registers and selects it. Snakemake's own text goes to its log file as ever.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from scripts.foundation import text
from scripts.terminal import conclusion, dry_run, job_log, outcome
from scripts.terminal.progress import Progress, about, duration, left
from scripts.terminal.screen import Screen
from scripts.terminal.told import TOLD, Step

NAME = "udaciheadline"
WIDEST = 400  # characters of a line of Snakemake's that is shown
EXPECTED_S = 10.0  # of a step that nothing is known of
TARGET = "all"

# What Snakemake says beside its events and what the lines here say already, by the first words.
NOISE = (
    "Assuming unrestricted shared filesystem usage", "Building DAG of jobs", "Complete log(s)", "Conda environments: ",
    "Elapsed time: ", "Exiting because a job execution failed", "Group jobs: ", "Reasons:",
    "Removing output files of failed job", "Rules with provenance triggered jobs", "Select jobs to execute",
    "Shutting down, this might take some time", "Singularity containers: ", "Some jobs were triggered by provenance",
    "This was a dry-run", "Using shell: ",
)  # fmt: skip
INTERRUPTED = ("Terminating processes on user request", "Will exit after finishing currently running jobs")
NOTHING = "Nothing to be done"
LOG = "Complete log(s): "
# The exception of a job that ended with an error, which its own event tells.
FAILED_JOB = "CalledProcessError"
FAILED_CALL = "At least one job did not complete successfully"


def register(options: Any) -> bool:
    """Make the plugin known to Snakemake.

    Args:
        options: of this call of Snakemake, as its parser reads them.

    Returns:
        Whether the plugin is to be used: not where the user asks for Snakemake's own text.
    """
    LoggerPluginRegistry().register_plugin(f"snakemake_logger_plugin_{NAME}", sys.modules[__name__])
    TOLD.report = not options.targets or bool({TARGET, str(conclusion.REPORT)} & set(options.targets))
    return not (options.verbose or options.debug_dag)


class LogHandler(LogHandlerBase):
    """Shows what happens in few lines."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self._dry = self.common_settings.dryrun
        self._screen = Screen(sys.stdout if self.common_settings.stdout else sys.stderr, self._live_line)
        # The live line is drawn by a thread of its own.
        self._state = threading.RLock()
        self._progress: Progress | None = None
        self._drawn: tuple[str, float] | None = None
        self._jobs: dict[int, dict[str, Any]] = {}
        self._stats: dict[str, int] = {}
        self._failed: list[str] = []
        self._interrupted = False
        self._ended = False
        self._log = ""
        self._events = {
            LogEvent.JOB_INFO: self._job_info,
            LogEvent.JOB_FINISHED: self._job_finished,
            LogEvent.JOB_ERROR: self._job_error,
            LogEvent.ERROR: self._error,
            LogEvent.RUN_INFO: self._run_info,
            LogEvent.SHELLCMD: lambda record: self._screen.line(f"  {getattr(record, 'shellcmd', '')}"),
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, if it is worth a line."""
        try:
            with self._state:
                event = getattr(record, "event", None)
                if event is None:
                    self._message(record)
                elif event in self._events:
                    self._events[event](record)
        except BrokenPipeError:
            pass  # as under `| head`
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Take the live line away, and say how the call ended."""
        try:
            with self._state:
                self._screen.stop()
                self._end()
        except BrokenPipeError:
            pass
        finally:
            super().close()

    # --- jobs ---

    def _job_info(self, record: logging.LogRecord) -> None:
        info = vars(record)
        if self._dry:
            if info["rule_name"] != TARGET:
                self._screen.line(dry_run.line(_name(info), info["reason"]))
            return
        if self._progress is None:
            self._progress = Progress(TOLD.steps.values())
            if TOLD.steps:
                known = sum(step.expected_s for step in TOLD.steps.values() if step.measured)
                sure = "about" if 2 * known > sum(step.expected_s for step in TOLD.steps.values()) else "roughly"
                self._screen.line(f"{_steps(self._progress.total)}, {sure} {about(self._progress.left_s(0.0))}.")
        self._jobs[info["jobid"]] = info
        if info["rule_name"] != TARGET:
            self._progress.start(_step(info), time.monotonic())
        self._screen.start()

    def _job_finished(self, record: logging.LogRecord) -> None:
        info = self._jobs.get(record.job_id)
        finished = self._progress and self._progress.finish(record.job_id, time.monotonic())
        if not info or not finished:
            return
        step, took = finished
        bad = outcome.of(info["output"])
        count = f"{self._progress.done:>{len(str(self._progress.total))}}/{self._progress.total}"
        self._screen.line(f"{count}  {step.name}, {duration(took)}{f': {bad}' if bad else ''}{self._left()}")

    def _left(self) -> str:
        """What is left, where no live line says it."""
        if self._screen.is_terminal or self._progress.done == self._progress.total or not TOLD.steps:
            return ""
        return f"; {left(self._progress.left_s(time.monotonic()))}"

    def _job_error(self, record: logging.LogRecord) -> None:
        info = vars(record)
        step = self._progress and self._progress.fail(info["jobid"])
        if self._interrupted:
            return
        name = step.name if step else info["rule_name"]
        self._failed.append(name)
        logs = info["log"]
        said = job_log.reason(Path(logs[0])) if logs else "it ended with an error"
        self._screen.line(f"error: {name}: {said}{f'; the log is {logs[0]}' if logs else ''}.")

    def _live_line(self) -> tuple[str, float] | None:
        # Whoever draws it may hold the screen's lock, for which an event that is being shown waits: so no waiting here.
        if self._state.acquire(blocking=False):
            try:
                self._drawn = self._what_runs()
            finally:
                self._state.release()
        return self._drawn

    def _what_runs(self) -> tuple[str, float] | None:
        """The live line, and the share of the work that is done."""
        if self._progress is None:
            return None
        now, running = time.monotonic(), self._progress.running
        share = self._progress.share_done(now)
        if self._progress.done == self._progress.total:
            return "all steps are done", share
        rest = left(self._progress.left_s(now)) if TOLD.steps else ""
        if not running:
            return rest, share
        step = next((each for each in running if each.kind == "generate"), running[0])
        number, count = self._progress.place(step)
        word = _WORDS.get(step.kind)
        what = f"{word} {number} of {count}: {step.subject}" if word and count > 1 else step.name
        more = f" and {len(running) - 1} more" if len(running) > 1 else ""
        return ", ".join(filter(None, [f"{what}{more}", rest])), share

    # --- messages ---

    def _run_info(self, record: logging.LogRecord) -> None:
        self._stats = getattr(record, "stats", {})

    def _message(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if self._interrupted:
            return
        if said.startswith(LOG):
            self._log = said.removeprefix(LOG)
        if said.startswith(INTERRUPTED):
            self._interrupt()
        elif said.startswith(NOTHING):
            self._screen.line(f"{NOTHING}: everything is there and up to date.")
            if TOLD.report and not self._dry:
                self._lines(conclusion.of_report())
        elif not said.startswith(NOISE) and said not in ("", "None"):
            self._lines(said.rstrip())

    def _interrupt(self) -> None:
        if not self._interrupted:
            self._interrupted = True
            self._screen.stop()
            self._screen.line("Interrupted; the jobs are ended, and the same command goes on from here.")

    def _error(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        of_job = FAILED_JOB in said or (FAILED_CALL in said and self._failed)
        if not self._interrupted and not of_job:
            self._screen.stop()
            self._lines(said)

    def _lines(self, said: str) -> None:
        for line in said.splitlines():
            self._screen.line(line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…")

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._dry and (count := self._stats.get("total", 0) - (TARGET in self._stats)) > 0:
            self._screen.line(f"{_steps(count)} would run: {dry_run.counted(self._stats)}.")
        if self._failed and not self._interrupted:
            waiting = self._progress.total - self._progress.done - len(self._failed)
            others = f", so {waiting} further step{'s' if waiting != 1 else ''} did not run" if waiting > 0 else ""
            log = f" Snakemake's own log is {self._log}." if self._log else ""
            self._screen.line(
                f"{_steps(len(self._failed))} failed{others}; the same command tries again what is missing.{log}"
            )


_WORDS = {
    "generate": "run", "prepare_model": "model", "score": "figures", "score_text": "ROUGE", "profile": "profile",
    "measure_load": "run under load", "score_semantic": "semantic score", "score_entailment": "entailment",
    "score_bertscore": "BERTScore",
}  # fmt: skip


def _name(info: dict[str, Any]) -> str:
    """The step in words: the rule's message."""
    return text.one_line(info.get("rule_msg") or " ".join([info["rule_name"], *info["wildcards"].values()]))


def _step(info: dict[str, Any]) -> Step:
    known = TOLD.steps.get(info["jobid"])
    subject = next(iter(info["wildcards"].values()), "")
    return known or Step(info["jobid"], _name(info), info["rule_name"], subject, EXPECTED_S)


def _steps(count: int) -> str:
    return f"{count} step{'s' if count != 1 else ''}"
