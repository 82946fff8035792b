"""The section on quality by length and category: one sentence a grouping, and nothing where data is too thin."""

from pathlib import Path
from typing import Any

from tests.support import synthetic_runs as synthetic
from tests.support.report_pages import rendered, visible
from tests.support.synthetic_study import Technique, compare, write_study

TECHNIQUES = [Technique("baseline", None), Technique("pruned", label="Pruned <i>", damage=0.6, seed=5)]
TITLE = "Quality by length and category"


def comparison(tmp_path: Path, categories: tuple[str, ...], count: int = 120) -> dict[str, Any]:
    data = synthetic.make_dataset(count)
    for place, row in enumerate(data):
        row["summary"] += " and so on" * (place % 12)
        row["category"] = categories[place % len(categories)]
    return compare(write_study(tmp_path, TECHNIQUES, count, 1, data))


def test_the_sentences_say_whether_the_loss_differs(tmp_path: Path) -> None:
    found = comparison(tmp_path, ("<b>news</b>", "sport\u202e"))
    text, source = visible(rendered(found)), rendered(found)
    assert TITLE in text
    assert "Nothing shows that ROUGE-L is lost more on short summaries than on long ones, or the other way" in text
    assert "Nothing shows that ROUGE-L is lost more in one category than in another" in text
    assert "<b>news</b> (n = 60)" in text
    assert "<b>news" not in source
    assert "\u202e" not in source
    assert "sport[U+202E] (n = 60)" in text
    assert "with Holm's correction over all 2" in text


def test_a_difference_is_said_with_its_size(tmp_path: Path) -> None:
    found = comparison(tmp_path, ("news", "sport"))
    for kind in ("length", "category"):
        found["groups"]["techniques"]["pruned"][kind] |= {"verdict": "differs", "adjusted_p_value": 0.0004}
    length, gap = found["groups"]["techniques"]["pruned"]["length"], {"value": 9.0, "low": 2.0, "high": 16.0}
    length["gap"] |= gap
    for figure, value in zip(length["kept"], (71.0, 76.0, 80.0), strict=True):
        figure["value"] = value
    text = visible(rendered(found))
    assert "How much of ROUGE-L is kept differs with the summary's length for Pruned <i> (of 1 compared)" in text
    assert "it keeps from 71.0% (up to 35 words) to 80.0% (48 words and more)" in text
    assert "from the shortest third to the longest that is +9.0 points (+2.0 to +16.0)" in text
    assert "differs between categories for Pruned <i>" in text
    assert "differs (p < 0.001)" in text


def test_thin_data_has_no_section(tmp_path: Path) -> None:
    assert TITLE not in rendered(comparison(tmp_path, ("news", "sport"), 38))


def test_a_category_of_any_length_is_shortened_and_its_title_holds_the_whole(tmp_path: Path) -> None:
    long = ("politics and " * 250).strip()
    source = rendered(comparison(tmp_path, (long, "sport")))
    text = visible(source)
    cut = f"{long[:59].rstrip()}…"
    assert f"{cut} (n = 60)" in text
    assert long[:100] not in text
    # In the groups' heads, in the choice of categories, and beside each of the prompts.
    assert source.count(f'title="{long}"') >= 3
