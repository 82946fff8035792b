"""Prompts for as many requests as are sent, none of them twice."""

import random

import pytest

from scripts.foundation.errors import StudyError
from scripts.serving.client import Ask
from scripts.traffic.prompts import Prompts

WORDS = [f"word{letter}" for letter in "abcdefghijklmnop"]


def asks(count=20):
    made = []
    for number in range(count):
        body = random.Random(number).sample(WORDS, 8 + number % 5)
        ids = (1, 50, 51, *(100 + number * 31 % 17 + step for step in range(10 + number % 7)), 60, 61)
        made.append(Ask(f"Write a headline: {' '.join(body)} Headline:", ids, 16, id=str(number)))
    return made


def test_given_prompts_come_first_and_none_comes_twice():
    given = asks()
    prompts = Prompts(given, seed=3)
    handed = [prompts.ask(number) for number in range(3000)]
    assert [ask for ask, _ in handed[:20]] == given
    assert [source for _, source in handed] == ["given"] * 20 + ["varied"] * 2980
    assert len({ask.text for ask, _ in handed}) == 3000
    assert len({ask.token_ids for ask, _ in handed}) == 3000


def test_a_variation_keeps_length_and_what_all_prompts_share():
    given = asks()
    prompts = Prompts(given, seed=3)
    for number in range(20, 200):
        ask, _ = prompts.ask(number)
        source = given[number % 20]
        assert len(ask.token_ids) == len(source.token_ids)
        assert ask.token_ids[:3] + ask.token_ids[-2:] == (1, 50, 51, 60, 61)
        assert len(ask.text.split()) == len(source.text.split())
        assert ask.text.startswith("Write a headline: ")
        assert ask.text.endswith(" Headline:")
        assert (ask.id, ask.max_new_tokens) == (source.id, 16)
        body = ask.token_ids[3:-2]
        assert body != source.token_ids[3:-2]
        # From the beginning on, so that no cache of prefixes has it.
        assert len(set(body) & set(source.token_ids[3:-2])) >= len(set(body)) / 2


def test_every_process_makes_the_same_prompt_of_a_number_and_another_seed_another():
    first, again, other = (Prompts(asks(), seed) for seed in (3, 3, 4))
    assert first.ask(77) == again.ask(77)
    assert first.ask(77) != other.ask(77)


def test_prompts_come_again_where_a_prefix_cache_is_studied():
    given = asks(5)
    prompts = Prompts(given, seed=3, repeat=True)
    assert [prompts.ask(number)[0] for number in range(10)] == given * 2


def test_one_prompt_keeps_its_first_token_alone():
    prompts = Prompts([Ask(None, (1, 5, 6, 7, 8, 9, 10, 11, 12))], seed=0)
    varied = {prompts.ask(number)[0].token_ids for number in range(1, 50)}
    assert len(varied) == 49
    assert {ids[0] for ids in varied} == {1}


@pytest.mark.parametrize("given", [[], [Ask("word")], [Ask("word other")]])
def test_prompts_that_can_not_be_varied_are_refused(given):
    with pytest.raises(StudyError):
        Prompts(given, seed=0)
