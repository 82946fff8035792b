"""What a dry run says of a stale job: what changed, in one line."""

import pytest

from scripts.study import staleness
from scripts.study.plan import as_text

CODE = {"scripts/generate.py": "0" * 16, "scripts/techniques/facet.py": "1" * 16}
ASKED = {"settings": {"model": "small", "speculation": {"tokens": 4}}, "warmup": 2, "fixed": {"samples": 3}}


def said(before: list[object], now: list[object]) -> str:
    def kept(values: list[object]) -> set[str]:
        return {repr(as_text(value) if isinstance(value, dict) else value) for value in values}

    return staleness.sentence(kept(before) - kept(now), kept(now) - kept(before))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([CODE], [CODE | {"scripts/generate.py": "2" * 16}], "code or data of scripts/generate.py"),
        ([CODE], [CODE | {"scripts/new.py": "2" * 16}], "code or data of scripts/new.py"),
        ([ASKED], [ASKED | {"warmup": 5}], "warmup: 2 -> 5"),
        ([ASKED], [ASKED | {"settings": {"model": "small"}}], 'settings.speculation: {"tokens": 4} -> none'),
        (
            [ASKED, CODE, "no attempt failed"],
            [ASKED | {"fixed": {"samples": 4}}, {**CODE, "scripts/generate.py": "a" * 16}, "failed at 12:00"],
            "code or data of scripts/generate.py; fixed.samples: 3 -> 4; no attempt failed -> failed at 12:00",
        ),
        ([2], [3], "2 -> 3"),
        ([], ["more"], "more"),
        (["less"], [], "no more less"),
        (["\x1b[31m\n"], ["b"], "[U+001B][31m[U+000A] -> b"),
    ],
)
def test_what_changed_is_said_in_one_line(before, now, expected):
    changed = sorted(said(before, now).split("; "))
    assert changed == sorted(expected.split("; "))


def test_many_changes_are_counted():
    files = {f"scripts/{name}.py": f"{name:016x}" for name in range(9)}
    assert said([files], [dict.fromkeys(files, "f" * 16)]) == (
        "code or data of scripts/0.py, scripts/1.py, scripts/2.py, scripts/3.py, and 5 more"
    )


def test_what_snakemake_kept_in_another_form_breaks_nothing():
    assert staleness.sentence(["<object at 0x1>"], ["'{'"]) == "<object at 0x1> -> {"
