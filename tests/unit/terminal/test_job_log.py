"""Why a job failed, by the end of its log."""

import pytest

from scripts.terminal import job_log

KILLED = "it may have been killed, as when memory runs out"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("2026 INFO loading\nerror: the disk is full; free some space.\n", "the disk is full; free some space"),
        ("Traceback (most recent call last):\nValueError: a fault\n", "ValueError: a fault"),
        ("", f"it ended without a word; {KILLED}"),
        ("training:   0%|          | 0/250 [00:00<?]\rtraining:  56%|█████▋    | 141/250 [00:04<00:03, 34.1step/s]",
         f"it ended without a word (training 141/250); {KILLED}"),
        ("reading: 100%|██████████| 506/506 [00:00<00:00, 108kB/s]",
         f"it ended without a word (reading 506/506); {KILLED}"),
        ("  40%|████      | 2/5 [00:00<00:00]", f"it ended without a word (2/5); {KILLED}"),
        ("error: no row is left.\nreading:  10%|█         | 1/10 [00:00<00:01]", "no row is left"),
        ("Traceback (most recent call last):\n  File x\nKeyboardInterrupt\n", "it was interrupted"),
    ],
)  # fmt: skip
def test_the_reason_is_the_jobs_sentence_or_how_it_ended(tmp_path, log, said):
    path = tmp_path / "job.log"
    path.write_text(log, encoding="utf-8", newline="")
    assert job_log.reason(path) == said


def test_a_job_without_a_log_is_told_as_that(tmp_path):
    assert job_log.reason(tmp_path / "none.log") == "it ended without a log"
