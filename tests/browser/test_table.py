"""The results table: its columns, rows, order and copies."""

import csv
import io
import json

import pytest


@pytest.fixture(scope="session")
def numbers(study_report):
    return json.loads((study_report.parent / "comparison.json").read_text(encoding="utf-8"))


def names(page):
    """Return the techniques whose rows are shown, in their order."""
    rows = page.locator("#results table.results tbody tr:visible")
    return rows.evaluate_all("rows => rows.map(row => row.dataset.technique)")


def heads(page):
    """Return the columns that are shown."""
    shown = page.locator("#results table.results thead th:visible")
    return shown.evaluate_all("heads => heads.slice(1).map(head => head.dataset.key)")


def head(page, key):
    return page.locator(f"#results table.results th[data-key='{key}']")


def test_headers_sort_and_failed_rows_stay_last_with_their_reason(open_report, numbers):
    page = open_report()
    study = [technique["name"] for technique in numbers["techniques"]]
    ran = [technique for technique in numbers["techniques"] if technique["status"] == "ok"]
    failed = [name for name in study if name not in {technique["name"] for technique in ran}]
    by_latency = [t["name"] for t in sorted(ran, key=lambda t: t["figures"]["latency_s"]["value"])]
    button = head(page, "latency_s").get_by_role("button")
    assert names(page) == study
    button.click()
    assert head(page, "latency_s").get_attribute("aria-sort") == "ascending"
    assert names(page) == by_latency + failed
    button.click()
    assert head(page, "latency_s").get_attribute("aria-sort") == "descending"
    assert set(names(page)[-len(failed) :]) == set(failed)
    button.click()
    assert head(page, "latency_s").get_attribute("aria-sort") is None
    assert names(page) == study
    # The best first where more is better; what has no value comes after all that have one.
    head(page, "throughput_samples_per_s").get_by_role("button").press("Enter")
    assert head(page, "throughput_samples_per_s").get_attribute("aria-sort") == "descending"
    head(page, "latency_change_percent").get_by_role("button").click()
    assert names(page)[len(ran) - 1] == "baseline"
    assert "CUDA out of memory" in page.locator("#row-huge").inner_text()


def test_text_and_chips_leave_the_rows_that_fit(open_report, numbers):
    page = open_report()
    total = len(numbers["techniques"])
    page.get_by_label("Find").fill("quantization nf4")
    assert names(page) == ["nf4", "nf4_batch"]
    assert page.locator("#results-count").inner_text() == f"2 of {total} shown"
    page.get_by_label("Find").fill("out of memory")
    assert names(page) == ["huge"]
    page.get_by_label("Find").fill("")
    kept = page.get_by_role("button", name="quality kept", exact=True)
    kept.click()
    expected = [t["name"] for t in numbers["techniques"] if t["quality_kept"]["verdict"] == "kept"]
    assert names(page) == [t["name"] for t in numbers["techniques"] if t["name"] in [*expected, "baseline"]]
    assert kept.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="on the Pareto front", exact=True).click()
    assert set(names(page)) <= {*expected, "baseline"}
    kept.click()
    front = names(page)
    assert "compiled" in front
    assert "baseline" not in front
    page.get_by_role("button", name="on the Pareto front", exact=True).click()
    page.get_by_role("button", name="meets my limits").click()
    assert "huge" not in names(page)


def test_columns_are_chosen_and_stand_in_the_address(open_report):
    page = open_report(viewport={"width": 1440, "height": 900})
    first = heads(page)
    page.locator("#results-columns summary").click()
    page.get_by_role("button", name="Reference studies' columns").click()
    study = heads(page)
    assert len(study) == 7
    assert study[-1] == "rougeL"
    assert page.locator("#row-huge td").get_attribute("colspan") == "7"
    page.get_by_label("Weights", exact=True).check()
    page.get_by_label("ROUGE-1", exact=True).uncheck()
    assert heads(page) == [key for key in [*study[:4], "weight_bytes", *study[4:]] if key != "rouge1"]
    page.wait_for_url(lambda url: "weight_bytes" in url and "rouge1" not in url)
    again = open_report(fragment=page.url.partition("#")[2])
    assert heads(again) == heads(page)
    page.get_by_role("button", name="All", exact=True).click()
    assert page.locator("#results-columns input:checked").count() == len(heads(page)) > 30
    page.emulate_media(media="print")
    assert heads(page) == first
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Main").click()
    assert heads(page) == first


def test_copies_hold_what_is_shown_in_full(open_report, numbers):
    page = open_report(fragment="sort=latency_s&columns=latency_s,latency_change_percent,lossless_audit&find=4-bit")
    # A page from a file may have no clipboard: the text is offered, selected.
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.get_by_role("button", name="Copy as CSV").click()
    area = page.get_by_label("Table as text")
    rows = list(csv.DictReader(io.StringIO(area.input_value())))
    assert area.evaluate("area => area.selectionEnd - area.selectionStart === area.value.length")
    page.get_by_role("button", name="Close").click()
    assert page.locator("dialog").count() == 0
    assert [row["Technique"] for row in rows] == ["nf4", "nf4_batch"]
    nf4 = next(technique for technique in numbers["techniques"] if technique["name"] == "nf4")
    assert float(rows[0]["Latency (s)"]) == nf4["figures"]["latency_s"]["value"]
    assert float(rows[0]["Latency low (s)"]) == nf4["figures"]["latency_s"]["low"]
    change = nf4["changes"]["baseline"]["figures"]["latency_change_percent"]
    assert float(rows[0]["Speed-up"]) == pytest.approx(1 / change["ratio"])
    assert float(rows[0]["Speed-up low"]) == pytest.approx(1 / change["ratio_high"])
    assert rows[0]["Speed-up verdict"] == "faster"
    page.get_by_role("button", name="Copy as Markdown").click()
    lines = page.get_by_label("Table as text").input_value().splitlines()
    assert lines[0] == "| Technique | Latency (ms) | Speed-up (baseline = 1\N{MULTIPLICATION SIGN}) | Lossless audit |"
    assert lines[2].startswith("| 4-bit NF4 | 10")
    assert len(lines) == 4


def test_copied_text_is_no_formula_and_no_markup(open_report, study_report, tmp_path):
    label = "=cmd|`<b>[x](y)*_\\\\"
    source = study_report.read_text(encoding="utf-8").replace('"label":"KV cache"', f'"label":{json.dumps(label)}')
    hostile = tmp_path / "hostile.html"
    hostile.write_text(source, encoding="utf-8")
    page = open_report(hostile, "columns=latency_s")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.get_by_role("button", name="Copy as CSV").click()
    rows = list(csv.DictReader(io.StringIO(page.get_by_label("Table as text").input_value())))
    assert rows[1]["Label"] == f"'{label}"
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Copy as Markdown").click()
    line = page.get_by_label("Table as text").input_value().splitlines()[3]
    assert line.startswith(r"| =cmd\|\`\<b\>\[x\](y)\*\_\\\\ | ")


def test_rows_mark_their_technique_everywhere(open_report):
    page = open_report()
    page.locator("#row-nf4 td").first.hover()
    assert page.locator("#tradeoff .point.lit").get_attribute("data-technique") == "nf4"
    page.locator("#row-nf4 td").first.click()
    page.mouse.move(0, 0)
    assert page.locator("#tradeoff .point.picked").get_attribute("data-technique") == "nf4"
    assert page.locator("#changes tr.picked").count() >= 2
    page.wait_for_url("**picked=nf4**")
    page.locator("#row-nf4 td").first.click()
    assert page.locator(".picked").count() == 0
