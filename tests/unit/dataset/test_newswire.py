"""The built-in data: its promises about entities, growth, distractors and sizes."""

import re
import time
from itertools import islice
from pathlib import Path

import pytest

from scripts.dataset.newswire.event import FOLDER, events, read
from scripts.dataset.newswire.generator import EVALUATION, TRAIN, Story, side_of, stories
from scripts.dataset.newswire.names import pool
from scripts.foundation.errors import StudyError


def take(seed: int, side: str, count: int) -> list[Story]:
    return list(islice(stories(seed, side), count))


@pytest.fixture(scope="module")
def train() -> list[Story]:
    return take(0, TRAIN, 6000)


@pytest.fixture(scope="module")
def evaluation() -> list[Story]:
    return take(0, EVALUATION, 1000)


def has_word(text: str, phrase: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None


def test_train_and_evaluation_share_no_combination_of_entities(train: list[Story], evaluation: list[Story]) -> None:
    assert {story.key for story in train}.isdisjoint(story.key for story in evaluation)
    # The side follows from the entities alone, so it holds across seeds and sizes too.
    assert all(side_of(story.key) == TRAIN for story in train)
    assert all(side_of(story.key) == EVALUATION for story in take(7, EVALUATION, 200))
    assert all(len(story.key) >= 2 for story in train)


def test_key_names_what_the_headline_is_about(evaluation: list[Story]) -> None:
    for story in evaluation:
        parts = [part for name in story.key for part in (name, name.split()[-1])]
        assert any(has_word(story.headline, part) for part in parts) or not re.search(r" [A-Z]", story.headline)


def test_growing_keeps_the_earlier_rows(train: list[Story]) -> None:
    assert take(0, TRAIN, 500) == train[:500]
    assert take(1, TRAIN, 5) != train[:5]


def test_everything_the_headline_needs_stands_in_the_summary(train: list[Story]) -> None:
    for story in train:
        for figure in re.findall(r"\$?\d[\d,.-]*\d%?|\d%?", story.headline):
            assert has_word(story.summary, figure), story
        # Words with a capital letter inside the headline are names.
        for name in re.findall(r"(?<=[a-z] )[A-Z]\w+", story.headline):
            assert has_word(story.summary, name), story


def test_aside_is_in_the_summary_and_not_in_the_headline(train: list[Story]) -> None:
    for story in train:
        for other in story.asides:
            assert other in story.summary
            assert not has_word(story.headline, other), story
            assert not has_word(story.headline, other.split()[-1]) or other.split()[-1] in (
                "million", "billion", "years", "University",
            ), story  # fmt: skip


def test_no_slot_or_choice_is_left_in_a_text(train: list[Story]) -> None:
    for story in train:
        assert not set("{}[]|") & set(story.summary + story.headline)
        assert not re.search(r"\ba [aeiou]", story.summary), story.summary
        assert story.headline[0].isupper() or story.headline[0] in '"$0123456789'


def test_sizes_are_modest(train: list[Story]) -> None:
    summaries = sorted(len(story.summary.split()) for story in train)
    headlines = sorted(len(story.headline.split()) for story in train)
    assert summaries[0] >= 20
    assert summaries[-1] <= 45
    assert headlines[0] >= 4
    assert headlines[-1] <= 12


def test_variety(train: list[Story]) -> None:
    assert len(events()) >= 36
    assert {story.event for story in train} == {event.name for event in events()}
    assert len({event.name for event in events()}) == len(events())
    assert len({story.category for story in train}) >= 10
    assert all(len(event.styles) >= 3 and len(event.details) >= 2 for event in events())
    assert len({story.summary for story in train}) == len(train)


def test_most_names_are_rare(train: list[Story]) -> None:
    counts: dict[str, int] = {}
    for story in train:
        for name in story.key:
            counts[name] = counts.get(name, 0) + 1
    once = sum(1 for count in counts.values() if count == 1)
    assert once > len(counts) / 3
    assert max(counts.values()) > 50
    assert len(pool("last")) > 3000


def test_both_phrasings_of_a_headline_occur_for_the_same_lead(train: list[Story]) -> None:
    leads = [story for story in train if story.event == "heat" and "recorded" in story.summary]
    openings = {story.headline.split()[1] for story in leads}
    assert len(openings) > 1


def test_fast_enough() -> None:
    begun = time.monotonic()
    take(3, TRAIN, 5000)
    # 25,000 rows in a few seconds, on a machine that is busy with other tests too.
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("details:", "detail:", "it lacks 'details'"),
        ("{company}", "{compny}", "nothing fills the slot 'compny' of"),
        ("asides:\n", "asides: none\nothers:\n", "'none' is no list of texts"),
        ("lead: ", "lead ", "holds no events as"),
    ],
)
def test_a_wrong_file_of_events_is_one_sentence(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "business.yaml"
    path.write_text((FOLDER / path.name).read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        read(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
