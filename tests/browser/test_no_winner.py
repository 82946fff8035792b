"""A report of too few prompts and runs: nothing in the page is called the best, whatever the reader asks for."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.report_stages import make_report
from tests.support.synthetic_study import Technique, write_study


def test_no_limit_makes_a_winner_where_prompts_and_runs_are_too_few(
    open_report: Callable[..., Page], tmp_path: Path
) -> None:
    techniques = [Technique("baseline", None, "Plain"), Technique("fast", label="Fast", speed=3)]
    make_report(write_study(tmp_path, techniques, count=8, runs=1), tmp_path)
    page = open_report(tmp_path / "report.html")
    expect(page.locator("#headline")).to_contain_text("No winner is named. Missing: 10 prompts or more (there are 8;")
    assert page.locator("#cards .card").count() == 0
    assert page.locator(".first-choice").count() == 0
    assert page.locator("[data-winner]").count() == 0
    page.locator("#limit-max_peak_memory_gb").fill("435")
    expect(page.locator("#choice")).to_contain_text("No winner is named")
    assert page.locator("[data-winner]").count() == 0
    assert page.locator(".first-choice").count() == 0
