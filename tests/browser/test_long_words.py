"""Words that no line has room for: they are broken where they stand, and nothing grows beyond the page."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.layout import lost, resized, unfold
from tests.support import synthetic_runs
from tests.support.report_stages import make_report
from tests.support.synthetic_study import Technique, built_in_choices, everything, write_study

WORD = "Donaudampfschifffahrt" * 150
LABEL = "L" * 80  # the longest that a study file may hold


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose texts are one long word each: from the data, the models, the study file and an error."""
    folder = tmp_path_factory.mktemp("long-words")
    rows = [
        row | {"headline": f"{WORD}{number}", "summary": f"{WORD} {number}", "category": WORD}
        for number, row in enumerate(synthetic_runs.make_dataset(12))
    ]
    techniques = [*everything()[:3], Technique("failed", "kv_cache", LABEL, {}, status="failed", reason=f"{WORD}.")]
    techniques[1].label = LABEL
    choices = built_in_choices()
    scenario = {"label": LABEL, "description": "D" * 200, "limits": {}, "weights": {"latency": 1}}
    long = {"title": "T" * 200, "prompt": f"{WORD} {{summary}}", "scenarios": choices["scenarios"] | {"long": scenario}}
    written = write_study(folder, techniques, dataset=rows, runs=2, **choices | long)
    make_report(written, folder)
    return folder / "report.html"


@pytest.mark.parametrize("width", [390, 1440])
def test_a_long_word_is_broken_and_nothing_is_cut_off(
    open_report: Callable[..., Page], report: Path, width: int
) -> None:
    page = open_report(report, viewport={"width": 1024, "height": 900})
    unfold(page)
    resized(page, width)
    assert page.locator("body").inner_text().count(WORD) > 3
    assert lost(page) == []
