"""The previous study that a configuration names: mistakes are found before anything runs; content counts, not age."""

import json
import os
import shutil

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import previous
from tests.support.synthetic_study import Technique, compare, write_study


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier")
    comparison = compare(write_study(folder, [Technique("baseline", None)], count=10, runs=1))
    path = folder / "earlier.json"
    path.write_text(json.dumps(comparison), encoding="utf-8")
    return path


def test_a_study_with_a_technique_in_common_will_do(earlier):
    previous.check(str(earlier), ["baseline", "other"])
    previous.check(None, ["baseline"])


@pytest.mark.parametrize(
    ("content", "wanted"),
    [(None, "does not exist"), ("{", "is no JSON"), ("{}", "no comparison of a study")],
)
def test_a_file_that_is_none_is_said_with_the_key(tmp_path, content, wanted):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(StudyError, match=rf"^report\.previous: .*{wanted}"):
        previous.check(str(path), ["baseline"])


def test_a_study_of_other_techniques_is_refused(earlier):
    with pytest.raises(StudyError, match="has no technique of this study"):
        previous.check(str(earlier), ["nf4"])


def test_the_studys_own_comparison_is_refused(earlier, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    shutil.copy(earlier, tmp_path / "results" / "comparison.json")
    (tmp_path / "link.json").symlink_to("results/comparison.json")
    for path in ("results/comparison.json", "link.json"):
        with pytest.raises(StudyError, match="copy it elsewhere first"):
            previous.check(path, ["baseline"])
        with pytest.raises(StudyError, match="copy it elsewhere first"):
            previous.content(path)


def test_content_counts_and_age_does_not(earlier, tmp_path):
    copy = tmp_path / "copy.json"
    shutil.copy(earlier, copy)
    before = previous.content(str(copy))
    os.utime(copy, (1, 1))
    assert previous.content(str(copy)) == before
    copy.write_text(copy.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert previous.content(str(copy)) != before
