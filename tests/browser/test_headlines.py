"""The headlines of all prompts: filter, sort, search, choose and page through them."""

import json
import re

import pytest
from playwright.sync_api import expect

CONTROLS = "#headlines-controls"
PAGE = 4
LIVE = "#headlines-live"
COUNT = "#headlines-count"


def choose(page, name, value):
    page.locator(f"{CONTROLS} [name={name}]").select_option(value)


def articles(page):
    return page.locator(f"{LIVE} article").evaluate_all(
        """found => found.map(each => ({
          title: each.querySelector("h3").textContent, marks: each.querySelectorAll("ins, del").length,
          losses: [...each.querySelectorAll("tr.judged td:last-child")].map(cell => cell.textContent),
        }))"""
    )


@pytest.fixture(scope="module")
def numbers(study_report):
    return json.loads((study_report.parent / "comparison.json").read_text(encoding="utf-8"))["prompts"]


def test_every_prompt_can_be_reached_page_by_page(open_report, numbers):
    page = open_report()
    seen = []
    for number in range(60 // PAGE):
        if number:
            page.locator("#headlines-pager button", has_text="Next").click()
        seen += [each["title"].split()[1] for each in articles(page)]
    assert seen == [str(number) for number in range(1, 61)]
    # The last page stays; its button says that there is no next one.
    expect(page.locator(COUNT)).to_contain_text("57\N{EN DASH}60 of 60 prompts")
    expect(page.locator("#headlines-pager [data-step='1']")).to_have_attribute("aria-disabled", "true")
    page.locator("#headlines-pager button", has_text="Previous").click()
    expect(page.locator(COUNT)).to_contain_text("53\N{EN DASH}56 of 60 prompts")
    expect(page.locator("#announcements")).to_contain_text("53\N{EN DASH}56 of 60 prompts")


def test_filters_count_what_the_numbers_say_and_stay_in_the_address(open_report, numbers):
    page = open_report()
    wrote, rows = numbers["wrote"], numbers["rows"]
    differing = [n for n in range(60) if wrote["int8"][n] != wrote["kv_cache"][n]]
    choose(page, "show", "differs")
    choose(page, "of", "int8")
    expect(page.locator(COUNT)).to_contain_text(f"of {len(differing)} prompts")
    assert [each["title"].split()[1] for each in articles(page)] == [str(n + 1) for n in differing[:PAGE]]
    assert all(each["marks"] for each in articles(page))

    def loss(n):
        score = [rows[n]["texts"][wrote[name][n]]["rougeL"] for name in ("kv_cache", "int8")]
        return score[0] - score[1]

    choose(page, "show", "losses")
    worst = sorted((n for n in range(60) if loss(n) > 0), key=lambda n: -loss(n))
    expect(page.locator(COUNT)).to_contain_text(f"{len(worst)} prompts")
    shown = articles(page)
    assert shown[0]["losses"] == [f"{-loss(worst[0]):.3f}".replace("-", "\N{MINUS SIGN}")]
    again = [float(each["losses"][0].replace("\N{MINUS SIGN}", "-")) for each in shown]
    assert again == sorted(again)

    expect(page).to_have_url(re.compile("prompts=.*losses"))
    address = page.url.partition("#")[2]
    same = open_report(fragment=address)
    assert articles(same) == shown
    assert same.locator(f"{CONTROLS} [name=of]").input_value() == "int8"


def test_marks_say_what_changed_against_the_chosen_one(open_report, numbers):
    page = open_report(fragment="prompts=show%3Ddiffers%26of%3Dpruned")
    wrote, rows = numbers["wrote"], numbers["rows"]
    row = page.locator(f"{LIVE} article").first.locator("tr.judged")
    number = int(articles(page)[0]["title"].split()[1]) - 1
    texts = {name: rows[number]["texts"][wrote[name][number]]["text"] for name in ("kv_cache", "pruned")}

    def without(tag):
        return row.locator("td").first.evaluate(
            """(cell, tag) => {
              const copy = cell.cloneNode(true);
              copy.querySelectorAll(`${tag}, .verdict`).forEach(each => each.remove());
              return copy.textContent.trim().split(/\\s+/).join(" ");
            }""",
            tag,
        )

    # Without what went it is the technique's own headline; without what came, its parent's.
    assert without("del") == texts["pruned"]
    assert without("ins") == texts["kv_cache"]
    expect(row.locator("ins").first).to_have_css("text-decoration-line", "underline")
    expect(row.locator("del").first).to_have_css("text-decoration-line", "line-through")
    choose(page, "against", "baseline")
    row.locator("summary").first.click()
    expect(row.locator("details")).to_contain_text("Compared with Baseline")
    expect(row.locator("li").first).to_contain_text(re.compile(r": [\d.]+ ms, \d+ tokens"))


def test_techniques_categories_and_search_narrow_what_is_shown(open_report, numbers):
    page = open_report()
    page.locator(f"{CONTROLS} summary").click()
    page.get_by_role("button", name="none", exact=True).click()
    expect(page.locator(f"{LIVE} article").first.locator("tbody tr")).to_have_count(1)  # the reference alone
    page.get_by_label("4-bit NF4", exact=True).check()
    expect(page.locator(f"{LIVE} article").first.locator("tbody tr")).to_have_count(2)
    expect(page.locator("#headlines-chosen")).to_have_text(f"1 of {len(numbers['wrote'])}")
    page.get_by_role("button", name="all", exact=True).click()
    expect(page.locator("#headlines-chosen")).to_have_text(f"all {len(numbers['wrote'])}")
    choose(page, "category", numbers["rows"][0]["category"])
    search = page.locator(f"{CONTROLS} [name=search]")
    search.fill(numbers["rows"][33]["summary"].upper())
    expect(page.locator(f"{LIVE} h3")).to_have_text([re.compile("Prompt 34")])
    search.fill("nothing has these words")
    expect(page.locator(LIVE)).to_contain_text("No prompt matches")
    search.fill("")
    expect(page.locator(f"{LIVE} article")).to_have_count(PAGE)


def test_what_makes_no_sense_in_the_address_is_left_out(open_report):
    page = open_report(fragment="prompts=show%3Dx%26of%3D__proto__%26page%3D99%26techniques%3Dconstructor%20nf4")
    expect(page.locator(COUNT)).to_contain_text("57\N{EN DASH}60 of 60")
    expect(page.locator("#headlines-chosen")).to_contain_text("1 of")
    # Back by one from the page that is shown, not from the one that was asked for.
    page.locator("#headlines-pager [data-step='-1']").click()
    expect(page.locator(COUNT)).to_contain_text("53\N{EN DASH}56 of 60")
