from playwright.sync_api import expect

SECTIONS = "details.technique"


def opened(page):
    return page.locator(f"{SECTIONS}[open]").count()


def test_sections_are_closed_and_open_all_opens_and_closes_them(open_report):
    page = open_report()
    count = page.locator(SECTIONS).count()
    assert opened(page) == 0
    button = page.locator("#open-techniques")
    assert button.inner_text() == "Open all"
    button.click()
    expect(button).to_have_text("Close all")
    assert opened(page) == count
    assert button.get_attribute("aria-expanded") == "true"
    assert f"{count} techniques opened" in page.locator("#announcements").text_content()
    # One closed by hand: the button offers to open all again.
    page.locator("#technique-nf4 > summary").click()
    expect(button).to_have_text("Open all")
    button.click()
    button.click()
    assert opened(page) == 0


def test_an_address_opens_its_technique_and_shows_it(open_report):
    page = open_report(fragment="technique-nf4")
    section = page.locator("#technique-nf4")
    assert section.evaluate("section => section.open")
    assert opened(page) == 1
    expect(section.locator("summary").first).to_be_in_viewport()
    # The choices of a reader may stand behind the section's name.
    page.evaluate("location.hash = '#technique-int8&sort=-latency_s'")
    expect(page.locator("#technique-int8")).to_have_attribute("open", "")


def test_a_link_opens_its_technique_also_a_second_time(open_report):
    page = open_report()
    page.locator("#memory > summary").click()
    section = page.locator("#technique-kv_cache")
    for _ in range(2):
        page.locator('#memory a[href="#technique-kv_cache"]').click()
        expect(section).to_have_attribute("open", "")
        section.evaluate("section => { section.open = false; }")
    page.evaluate("location.hash = '#technique-no-such'")
    assert opened(page) == 0


def test_the_keyboard_opens_a_section_and_what_is_folded_in_it(open_report):
    page = open_report()
    page.locator("#technique-speculative > summary").focus()
    page.keyboard.press("Enter")
    section = page.locator("#technique-speculative")
    assert section.get_by_role("heading", name="Why it is this fast").is_visible()
    assert section.locator("svg.shape").count() == 5
    folded = section.locator(".groups")
    assert not folded.is_visible()
    section.locator(".fold > summary").press("Enter")
    assert folded.is_visible()
