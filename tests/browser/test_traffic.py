"""The question of the reader's own traffic: how many requests a second, and how long the slowest may wait."""

from collections.abc import Callable

from playwright.sync_api import Page, expect


def test_the_readers_own_traffic_is_answered_from_the_rates_that_were_tried(open_report: Callable[..., Page]) -> None:
    page = open_report()
    answer = page.locator("#traffic-answer")
    # The study's own limit: what the searches found.
    expect(answer).to_contain_text("P99 latency within 300 ms: Compiled (up to 4")
    page.fill("#traffic-rate", "30")
    expect(answer).to_contain_text("30 requests a second with P99 latency within 300 ms: Compiled")
    expect(answer).not_to_contain_text("KV cache")
    page.fill("#traffic-rate", "100")
    expect(answer).to_contain_text("it takes 3 of its kind side by side")
    # A limit that no search was made for: the rates that kept it.
    page.fill("#traffic-rate", "")
    page.fill("#traffic-limit", "150")
    expect(answer).to_contain_text("P99 latency within 150 ms: Compiled (up to 14.")
    page.fill("#traffic-limit", "1")
    expect(answer).to_contain_text("No technique was seen to keep P99 latency within 1 ms")
    page.fill("#traffic-limit", "")
    expect(answer).to_have_text("Give a limit.")


def test_time_to_first_token_can_be_limited_instead(open_report: Callable[..., Page]) -> None:
    page = open_report()
    page.select_option("#traffic-kind", "ttft_ms")
    page.fill("#traffic-limit", "100")
    expect(page.locator("#traffic-answer")).to_contain_text("P99 TTFT within 100 ms: Compiled (up to")


def test_on_a_phone_each_figure_of_the_capacities_has_its_columns_name(open_report: Callable[..., Page]) -> None:
    page = open_report()
    heads = [text.lower() for text in page.locator("table.capacity thead th").all_text_contents()]
    page.set_viewport_size({"width": 390, "height": 800})
    shown = (
        page.locator("table.capacity tbody tr")
        .first.locator("td")
        .evaluate_all(
            "(cells) => cells.map((cell) => getComputedStyle(cell, '::before').content.replaceAll('\"', '').trim())"
        )
    )
    assert len(shown) == len(heads) - 1
    assert [label for label in shown if label != "none"] == heads[2:]
