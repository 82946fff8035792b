# ruff: noqa: RUF001 - quotes and colons of all scripts
import pytest

from scripts.foundation.errors import StudyError
from scripts.metrics.answers import reader

PLAIN = [
    "Markets Fall as Tariffs Loom", "1. FC Köln gewinnt das Derby", "Here's the title race explained: 5 points",
    "Here's Why Rents Rise: A Guide", "'A' and 'B' agree", "\"Big\" is back, says \"Small\"",
    "Café: a history",
    "Trump: 'No deal'", "<3 wins: fans rejoice", "AT&T buys Time Warner", "Mayor says: no", "5 - 3 = 2, court rules",
    "The headline writer who never slept", "A title for the ages", "Sure bets fail again", "It's #1",
    "Ok Computer at 25",
    "今日の株価 大幅安", "Als PSV wint: feest", "🎉🎉", "Analysis: why banks fail",
    "I'm sorry, says minister", "Title fight ends in draw", "Output falls at plants",
    "Response: mayor hits back at critics",
]  # fmt: skip


@pytest.mark.parametrize("text", PLAIN)
def test_a_headline_alone_stays_as_it_is(text):
    for ending in ("", "\n", " \n"):
        assert reader.read(text + ending) == reader.Headline(text)


AROUND = {
    "\n\nRain Stops Play\n": ("Rain Stops Play", ()),
    " \n \r\nRain Stops Play": ("Rain Stops Play", ()),
    "Here is a headline:\n\nRain Stops Play": ("Rain Stops Play", ("sentence before it",)),
    'Here is a concise headline for the news summary: "Rain Stops Play"': None,
    "Here's a headline: Rain Stops Play": None,
    "Sure! Here is a concise headline for the given news summary:\n\n**Rain Stops Play**": None,
    "Sure, here's a possible headline:\n\n\"Rain Stops Play\"\n\nThis headline is short.": None,
    "Certainly!\n\nRain Stops Play": None,
    'The headline could be "Rain Stops Play".': None,
    'A concise headline is: "Rain Stops Play"': None,
    "Based on the summary, here is a headline: Rain Stops Play": None,
    "**Rain Stops Play**": ("Rain Stops Play", ("bold",)),
    "***Rain Stops Play***": None,
    "__Rain Stops Play__": None,
    "*Rain Stops Play*": None,
    "Rain **Stops** Play": None,
    "**Rain Stops Play": None,
    "# Rain Stops Play": ("Rain Stops Play", ("heading",)),
    "### **Rain Stops Play** ###": None,
    "Rain Stops Play\n===============": None,
    "> Rain Stops Play": None,
    "- Rain Stops Play": None,
    "1. Rain Stops Play\n2. Wet Sunday": None,
    "Option 1: Rain Stops Play\nOption 2: Wet": None,
    "Headline: Rain Stops Play": ("Rain Stops Play", ("label",)),
    "**Headline:** Rain Stops Play": None,
    "**Headline**: \"Rain Stops Play\"": None,
    "Headline:\nRain Stops Play": None,
    "**Headline:**\n\n**Rain Stops Play**": None,
    "News Headline 1: Rain Stops Play": None,
    "Schlagzeile: Rain Stops Play": None,
    "Titre : Rain Stops Play": None,
    "Titular: «Rain Stops Play»": None,
    "Заголовок: «Rain Stops Play»": None,
    "标题:Rain Stops Play": None,
    "見出し:「Rain Stops Play」": None,
    "제목: 'Rain Stops Play'": None,
    "العنوان: Rain Stops Play": None,
    "शीर्षक: Rain Stops Play": None,
    "Hier ist eine Schlagzeile für die Meldung: „Rain Stops Play“": None,
    "Voici un titre concis :\n\n« Rain Stops Play »": None,
    "以下是新闻标题:\n《Rain Stops Play》": None,
    '"Rain Stops Play"': ("Rain Stops Play", ("quotes",)),
    "“Rain Stops Play”": None, "‘Rain Stops Play’": None, "„Rain Stops Play“": None, "„Rain Stops Play”": None,
    "‚Rain Stops Play‘": None, "«Rain Stops Play»": None, "»Rain Stops Play«": None, "‹Rain Stops Play›": None,
    "”Rain Stops Play”": None, "「Rain Stops Play」": None, "『Rain Stops Play』": None, "《Rain Stops Play》": None,
    "`Rain Stops Play`": None, "＂Rain Stops Play＂": None,
    '"Rain Stops Play': ("Rain Stops Play", ("quotes",)),
    "<think>\nThe user wants a headline.\n\nOk.\n</think>\n\nRain Stops Play": ("Rain Stops Play", ("thinking",)),
    "<think></think>Rain Stops Play": None,
    "Let me think.\n</think>\n\nRain Stops Play": None,
    "[THINK]Hm[/THINK]Rain Stops Play": None,
    "<thinking>Hm</thinking>\n**Headline:** Rain Stops Play": None,
    "analysisWe need a headline.assistantfinalRain Stops Play": None,
    "<h1>Rain Stops Play</h1>": ("Rain Stops Play", ("markup",)),
    "<headline>Rain Stops Play</headline>\n<reason>short</reason>": None,
    "<p><b>Rain Stops Play</b></p>": None,
    "Rain&nbsp;Stops Play<br/>": None,
    "Rain Stops Play<|im_end|>": None,
    "<start_of_turn>model\nRain Stops Play<end_of_turn>": None,
    "```\nRain Stops Play\n```": ("Rain Stops Play", ("code fence",)),
    "```text\nRain Stops Play": None,
    "Here is the headline:\n```markdown\n# Rain Stops Play\n```\nEnjoy!": None,
    '{"headline": "Rain Stops Play"}': ("Rain Stops Play", ("JSON",)),
    '```json\n{\n  "headline": "Rain Stops Play",\n  "reason": "short"\n}\n```': None,
    '{"Title": "Rain \\u0053tops Play"}': None,
    '["Rain Stops Play", "Wet"]': None,
    '{"headlines": [{"title": "Rain Stops Play"}]}': None,
    '{"headline": "Rain Stops Play': None,
    'Sure: {"headline": "Rain Stops Play"}': None,
    "Rain Stops Play\n\nExplanation: it rained.": ("Rain Stops Play", ("other lines",)),
    "Rain\u200b Stops\u202e Play\x07": ("Rain Stops Play", ()),
}  # fmt: skip


@pytest.mark.parametrize("answer", AROUND)
def test_what_a_chat_model_puts_around_a_headline_is_taken_away(answer):
    found, wanted = reader.read(answer), AROUND[answer]
    assert (found.text, found.fault) == ("Rain Stops Play", None)
    if wanted:
        assert found.removed == wanted[1]
    else:
        assert found.removed


FAULTS = {
    "": reader.EMPTY, " \n\t\n": reader.EMPTY, "\u200b": reader.EMPTY,
    "<think>\nThe user wants": reader.THINKING, "<think>": reader.THINKING,
    "Here is a concise headline for the news summary:": reader.ANNOUNCED, "Headline:": reader.ANNOUNCED,
    "**Headline:**\n": reader.ANNOUNCED, "Sure!": reader.ANNOUNCED, "Schlagzeile:": reader.ANNOUNCED,
    "I'm sorry, but I can't help with that.": reader.REFUSED,
    "As an AI language model, I cannot write headlines.": reader.REFUSED,
    "***": reader.MARKS, "```": reader.MARKS, '""': reader.MARKS, "<p></p>": reader.MARKS, "{": reader.MARKS,
}  # fmt: skip


@pytest.mark.parametrize("answer", FAULTS)
def test_an_answer_without_a_headline_says_why(answer):
    assert reader.read(answer) == reader.Headline("", (), FAULTS[answer])


def test_lines_are_taken_as_they_stand_where_the_study_says_so():
    answer = '\n \nHeadline: "A"\nThe last "one"\n\n'
    assert reader.read(answer, "first_line") == reader.Headline('Headline: "A"', ("other lines",))
    assert reader.read(answer, "last_line") == reader.Headline('The last "one"', ("other lines",))
    assert reader.read('"A"\n', "first_line") == reader.Headline("A", ("quotes",))
    assert reader.read("<think>a", "first_line").text == "<think>a"
    assert reader.read("\n", "last_line").fault == reader.EMPTY


def test_json_is_asked_for_by_a_key_or_by_none():
    answer = 'Fine: {"headline": "A", "kicker": "B\\nC"} and more'
    assert reader.read(answer, "json") == reader.Headline("A", ("JSON",))
    assert reader.read(answer, {"json": "kicker"}).text == "B C"
    assert reader.read(answer, {"json": "lead"}).fault == reader.NO_JSON
    assert reader.read("A headline", "json").fault == reader.NO_JSON
    assert reader.read("[" * 9000, "json").fault == reader.NO_JSON


def test_a_pattern_of_the_study_finds_the_headline():
    assert reader.read("x\nBest: A\ny", {"regex": "^Best: (.*)$"}).text == "A"
    assert reader.read("A B", {"regex": "(?:never (.*)|(B))"}).text == "B"
    assert reader.read("AB", {"regex": "A."}) == reader.Headline("AB")
    assert reader.read("C", {"regex": "A"}).fault == reader.NO_MATCH
    assert reader.read("a" * 5000 + "!", {"regex": "(a|aa)+$"}).fault == reader.NO_MATCH, "it ends in time"
    with pytest.raises(StudyError, match=r"generation\.answer\.regex is no regular expression"):
        reader.check({"regex": "("})


@pytest.mark.parametrize("answer", ["<think>" * 3000, "**" * 5000, "# " * 9000, '{"a":' * 9000, "Here is " * 3000 + ":",
                                    '"' * 9999, "the " * 5000 + "headline", "\u202e" * 9000])  # fmt: skip
def test_no_answer_takes_long(answer):
    import time

    began = time.perf_counter()
    reader.read(answer)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("raw", "headline"),
    [
        ("Mayor opens bridge", "Mayor opens bridge"),
        ("  Mayor \t opens\xa0 bridge \nSecond line", "Mayor opens bridge"),
        ("\nMayor", "Mayor"),
        ("Mayor\r\nopens", "Mayor"),
        ("Mayor\rop\x00ens\x1b[31m", "Mayor op ens [31m"),
        ("Mayor\u2028opens\u2029bridge\x85now", "Mayor opens bridge now"),
        ('"Mayor opens bridge"', "Mayor opens bridge"),
        ("'Mayor opens bridge'", "Mayor opens bridge"),
        ("“Mayor opens bridge”", "Mayor opens bridge"),
        ("\u2018The mayor\u2019s bridge\u2019", "The mayor\u2019s bridge"),
        ("'The mayor's bridge'", "The mayor's bridge"),
        ('"Titanic" beats "Avatar"', '"Titanic" beats "Avatar"'),
        ("“Titanic” beats “Avatar”", "“Titanic” beats “Avatar”"),
        ('" Mayor "', "Mayor"),
        ('""', ""),
        ('Mayor: "yes"', 'Mayor: "yes"'),
        ("\u200bMay\u200dor\ufeff", "Mayor"),
        ("\u202eMayor\u202c \u2066opens\u2069", "Mayor opens"),
        ("ראש העיר פתח גשר", "ראש העיר פתח גשר"),
        ("\u200b", ""),
        ("आग\u200dक", "आग\u200dक"),
    ],
)
def test_a_headline_is_one_clean_line(raw, headline):
    for how in ("first_line", "auto"):
        assert reader.read(raw, how).text == headline
