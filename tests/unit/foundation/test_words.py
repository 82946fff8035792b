# ruff: noqa: RUF001 - other scripts are what is tested
import random
import string

import pytest
from rouge_score import tokenize

from scripts.foundation import words


def test_on_ascii_text_the_tokens_are_those_of_rouge_score():
    draw = random.Random(0)
    for _ in range(2000):
        text = "".join(draw.choices(string.printable, k=40))
        assert words.tokens(text) == tokenize.tokenize(text, None)
        assert words.split(text) == text.split()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Müller trifft Möller", ["müller", "trifft", "möller"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("Cafe\u0301 Café", ["café", "café"]),
        ("Правительство: «нет» 2025", ["правительство", "нет", "2025"]),
        ("हिन्दी समाचार", ["हिन्दी", "समाचार"]),
        ("الأخبار اليوم", ["الأخبار", "اليوم"]),
        ("می\u200cخواهم میخواهم", ["میخواهم", "میخواهم"]),
        ("한국 뉴스", ["한국", "뉴스"]),
        ("新しいiPhone15が、東京ー発売。", [*"新しい", "iphone15", *"が東京ー発売"]),
        ("ＡＢＣ１２３ ｶﾞ", ["abc123", "ガ"]),
        ("ข่าววันนี้", ["ข่", "า", "ว", "วั", "น", "นี้"]),
        ("— … 、。", []),
        ("snake_case", ["snake", "case"]),
    ],
)
def test_tokens_of_other_scripts(text, tokens):
    assert words.tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Stocks fall — again, co-op says", 6),
        ("Straßenbahn fährt wieder", 3),
        ("市议会今天决定修建新桥，三座", 13),
        ("東京 tower 開業", 5),
        ("", 0),
    ],
)
def test_words_are_counted_in_every_script(text, count):
    assert len(words.split(text)) == count


def test_the_share_of_letters_beyond_ascii():
    assert words.non_ascii_share(["abc", "1 2!"]) == 0
    assert words.non_ascii_share([]) == 0
    assert words.non_ascii_share(["abcd", "де"]) == pytest.approx(1 / 3)
    assert words.non_ascii_share(["ＡＢ"]) == 0
