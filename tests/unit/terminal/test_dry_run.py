"""Snakemake's reasons, in few words."""

import re
from pathlib import Path

import pytest

from scripts.terminal import dry_run, opening

REASONS = {
    "Missing output files: results/a, results/b": "not made yet",
    "Missing output files: results/a; Input files updated by another job: results/b": "not made yet",
    "Input files updated by another job: results/b, results/c": "what it reads is made anew",
    "Params have changed since last execution: batch: 2 -> 3; no more nf4": "batch: 2 -> 3; no more nf4",
    "Input files updated by another job: results/b; Params have changed since last execution: seed: 0 -> 1": (
        "seed: 0 -> 1"
    ),
    "Code has changed since last execution; Params have changed since last execution: a -> b": (
        "its command has changed; a -> b"
    ),
    "Updated input files: news.csv": "changed: news.csv",
    "Something new in Snakemake": "Something new in Snakemake",
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_said_in_few_words(reason: str) -> None:
    assert dry_run.line("model small", reason).split("  ")[-1].strip() == REASONS[reason]


def test_a_line_stays_one_line() -> None:
    line = dry_run.line("model small", f"Params have changed since last execution: a\nb\x1b[2J {'x' * 5000}")
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 300


@pytest.mark.parametrize(
    ("platform", "display", "how"),
    [("darwin", "", "open "), ("linux", ":0", "xdg-open "), ("linux", "", "no display")],
)
def test_the_report_is_opened_by_what_there_is(monkeypatch, tmp_path, platform: str, display: str, how: str) -> None:
    monkeypatch.setattr(opening.sys, "platform", platform)
    monkeypatch.setattr(opening.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.chdir(tmp_path)
    said = opening.sentence(opening.Path("a report.html"))
    assert said.startswith(f"The report is {tmp_path}/a report.html; ")
    assert how in said
    assert display != ":0" or f"'{tmp_path}/a report.html'" in said


def test_every_rules_jobs_have_a_name_in_words() -> None:
    root = Path(__file__).parents[3]
    text = "\n".join(path.read_text(encoding="utf-8") for path in [root / "Snakefile", *(root / "rules").glob("*.smk")])
    rules = set(re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.MULTILINE)) - {"all"}
    assert rules
    assert rules <= set(dry_run.KINDS)
