"""The page that compares two studies: it needs no script, fits every width, and no text in it acts."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from scripts.comparison.studies import compare, reading
from scripts.report import studies_documents
from tests.support.text_everywhere import study_of

HOSTILE = '<img src=x onerror="alert(1)"></title></style><script>alert(2)</script> \u202e https://x.invalid/'


@pytest.fixture(scope="module")
def studies_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two studies in which every text is hostile, and some are very long."""
    folder = tmp_path_factory.mktemp("studies")
    old = study_of(folder, HOSTILE, [HOSTILE, "x" * 300, "short"])
    new = copy.deepcopy(old)
    new["versions"] = {HOSTILE: "other", "y" * 300: "1"}
    new["machine"] = new["machine"] | {"cpu_model": "z" * 300}
    new["techniques"][1] |= {"status": "failed", "reason": HOSTILE}
    found = compare.compare(reading.checked(old, "old"), reading.checked(new, "new"), compare.choices())
    path = folder / "studies.html"
    path.write_text(studies_documents.page_of(found), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1440])
def test_it_fits_and_nothing_in_it_acts(
    open_report: Callable[..., Page], studies_page: Path, width: int, scheme: str
) -> None:
    page = open_report(studies_page, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.locator("script, img, iframe").count() == 0
    assert "<script>alert(2)</script>" in page.locator("body").inner_text()
