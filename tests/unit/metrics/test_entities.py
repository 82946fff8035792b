"""Entities of a headline that its summary does not have."""

import pytest

from scripts.metrics import entities

ENGLISH = [
    "The mayor of Springfield met Angela Merkel in Berlin on Monday, and the council voted for the bridge.",
    "A storm hit the coast; the European Union said it would pay. In the town a record harvest was sold.",
    "The market in London fell, and the bank raised its rates again as the river rose.",
]


@pytest.fixture(scope="module")
def known():
    return entities.lexicon(ENGLISH)


@pytest.mark.parametrize(("headline", "summary", "unsupported"), [
    ("Bank cuts 1,200 jobs", "The bank will cut 1200 jobs.", []),
    ("Bank cuts 1.200 jobs", "The bank will cut 1,200 jobs.", []),
    ("Bank cuts 1 200 jobs", "The bank will cut 1.200 jobs.", ["1", "200"]),
    ("Bank cuts 1\u202f200 jobs", "The bank will cut 1200 jobs.", []),
    ("Rates rise to 3.50%", "Rates rise to 3,5 per cent.", []),
    ("Rates rise to 3.5%", "Rates rise to 35 per cent.", ["3.5"]),
    ("Twelve held, 13 freed", "Twelve were held and 14 freed.", ["13"]),
    ("\u0661\u0662 dead", "12 people died", []),
    ("The 2026-05-03 vote", "The vote is on 3.5.2026", []),
    ("The 3.5.26 vote", "The vote is on 3 May, 2026; 3", ["3.5.26"]),
    ("The 3.5.2026 vote", "The vote is on 3 May 2026", []),
    ("The 4.5.2026 vote", "The vote is on 3.5.2026", []),
    ("The 4.6.2026 vote", "The vote is on 3.5.2026", ["4.6.2026"]),
])  # fmt: skip
def test_numbers_and_dates_in_any_form(known, headline, summary, unsupported):
    assert entities.compare(headline, summary, known).unsupported == unsupported


@pytest.mark.parametrize(("headline", "summary", "unsupported"), [
    ("Council in Berlin votes for bridge", "The council in Springfield voted.", ["Berlin"]),
    ("Council in Berlin votes for bridge", "Berlin's council voted.", []),
    ("Council and Zuckerberg agree on bridge", "The council agreed.", ["Zuckerberg"]),
    ("Storm Hits Coast As Council Votes", "A storm hit.", []),
    ("Storm Hits Berlin As Council Votes", "A storm hit.", ["Berlin"]),
    ("Berlin votes for bridge", "The council voted.", ["Berlin"]),
    ("Rates rise, EU says in report", "Rates rise, the European Union said.", []),
    ("Rates rise, UN says in report", "Rates rise, the European Union said.", ["UN"]),
    ("Visit to \u041f\u0443\u0442\u0438\u043d expected in town", "A visit to \u041f\u0443\u0442\u0438\u043d\u0430", []),
    ("Merkel's visit and Merkel again", "Nothing of her", ["Merkel's"]),
])  # fmt: skip
def test_names_by_their_capitals_where_those_tell(known, headline, summary, unsupported):
    assert entities.compare(headline, summary, known).unsupported == unsupported


def test_no_names_where_capitals_do_not_tell():
    german = entities.lexicon(
        ["Der Rat der Stadt hat den Bau der Br\u00fccke in Bonn am Montag mit Mehrheit beschlossen."]
    )
    assert not german.telling
    assert entities.compare("Neuer Bahnhof f\u00fcr Kassel 2027", "Die Stadt baut.", german).unsupported == ["2027"]
    assert not entities.lexicon(["\u653f\u5e9c\u5728\u5317\u4eac\u5ba3\u5e03\u8ba1\u5212"]).telling
    assert not entities.lexicon([]).telling


def test_counts_are_by_kind(known):
    found = entities.compare("Council in Berlin pays 5 and 6 by 1.2.2026", "The council pays 5 in Berlin.", known)
    assert found.counts == {"number": [2, 1], "date": [1, 0], "name": [1, 1]}
    assert found.unsupported == ["1.2.2026", "6"]
