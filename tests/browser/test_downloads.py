"""The numbers come out of the page as they went in."""

import csv
import io
import json

import pytest


@pytest.mark.parametrize("name", ["comparison.json", "comparison.csv"])
def test_the_numbers_are_saved_as_they_were_put_in(open_report, study_report, name):
    page = open_report(fragment="reproduce")
    with page.expect_download() as saved:
        page.get_by_role("button", name=f"Download {name}").click()
    assert saved.value.suggested_filename == name
    with open(saved.value.path(), encoding="utf-8", newline="") as handle:
        text = handle.read()
    original = (study_report.parent / name).read_text(encoding="utf-8")
    if name.endswith("json"):
        assert json.loads(text) == json.loads(original)
    else:
        assert list(csv.reader(io.StringIO(text))) == list(csv.reader(io.StringIO(original)))


def test_the_study_is_saved_as_a_configuration(open_report, study_report):
    page = open_report(fragment="reproduce")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download study.json").click()
    assert saved.value.suggested_filename == "study.json"
    original = json.loads((study_report.parent / "comparison.json").read_text(encoding="utf-8"))["configuration"]
    with open(saved.value.path(), encoding="utf-8") as handle:
        found = json.load(handle)
    assert found == original
    assert list(found["scenarios"]) == ["b", "a"]
    page.locator("#reproduce .fold > summary").click()
    assert '"title": "Headlines: synthetic study"' in page.locator("#reproduce .fold pre").inner_text()
    assert "--configfile study.json" in page.locator("#reproduce pre").first.inner_text()
