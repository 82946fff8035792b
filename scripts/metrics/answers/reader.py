"""Reads the headline of an answer by the study's ``generation.answer``."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import regex

from scripts.foundation.errors import StudyError
from scripts.metrics.answers import blocks, line, words

AUTO, FIRST, LAST, JSON, REGEX = "auto", "first_line", "last_line", "json", "regex"
MATCH_S = 1.0  # for the study's pattern in one answer
_BREAKS = regex.compile("\r?\n")
_NUMBER = regex.compile(r"[*_]{0,3}(\d{1,2})[.)]\s+(?=\S)")

EMPTY = "nothing was answered"
THINKING = "its thinking never ended"
ANNOUNCED = "a headline was announced and none followed"
REFUSED = "the model refused"
MARKS = "there are only marks"
NO_JSON = "no JSON with a headline"
NO_MATCH = "the pattern does not match"


How = str | dict[str, Any]  # the study's generation.answer


@dataclass(frozen=True)
class Headline:
    """The headline of an answer.

    Attributes:
        text: the headline; empty where there is none.
        removed: what had to be taken away to get it, in words; white space does not count.
        fault: why there is none, in words; None where there is one.
    """

    text: str
    removed: tuple[str, ...] = ()
    fault: str | None = None


def read(answer: str, how: How = AUTO) -> Headline:
    """Read the headline of an answer.

    Args:
        answer: what the model wrote, without special tokens.
        how: ``auto``; ``first_line`` or ``last_line`` that is not blank, as it stands but for outer quotes; ``json``
            or ``{json: key}``; ``{regex: pattern}``, of whose first match the first group that is there counts.
    """
    kind, option = next(iter(how.items())) if isinstance(how, dict) else (how, None)
    lines = [shown for each in _BREAKS.split(answer) if (shown := line.visible(each))]
    if not lines:
        return Headline("", (), EMPTY)
    if kind in (FIRST, LAST):
        return _plain(lines, 0 if kind == FIRST else -1)
    if kind == JSON:
        found = blocks.from_json(answer, option)
        return _one_line(found, "JSON", NO_JSON)
    if kind == REGEX:
        return _one_line(_match(option, answer), "what is beside the pattern", NO_MATCH, answer)
    return _auto(answer)


def check(how: How) -> None:
    """Check the study's ``generation.answer``.

    Raises:
        StudyError: its pattern is no regular expression.
    """
    if isinstance(how, dict) and REGEX in how:
        try:
            _pattern(how[REGEX])
        except regex.error as error:
            raise StudyError(f"generation.answer.regex is no regular expression ({error}); correct it.") from None


@functools.cache
def _pattern(pattern: str) -> Any:
    return regex.compile(pattern, regex.M)


def _match(pattern: str, answer: str) -> str | None:
    try:
        found = _pattern(pattern).search(answer, timeout=MATCH_S)
    except TimeoutError:
        return None
    if found is None:
        return None
    return next((group for group in found.groups() if group is not None), found[0])


def _plain(lines: list[str], place: int) -> Headline:
    text = line.unquoted(lines[place])
    removed = [*(["quotes"] if text != lines[place] else []), *(["other lines"] if len(lines) > 1 else [])]
    return Headline(text, tuple(removed)) if text else Headline("", (), MARKS)


def _one_line(found: str | None, what: str, fault: str, whole: str = "") -> Headline:
    if found is None:
        return Headline("", (), fault)
    text = line.visible(_BREAKS.sub(" ", found))
    removed = (what,) if text != line.visible(whole) else ()
    return Headline(text, removed) if text else Headline("", (), EMPTY)


def _auto(answer: str) -> Headline:
    """Whatever a chat model puts around a headline is taken away; the first line that is one counts."""
    removed: list[str] = []
    text, thought, endless = blocks.without_thinking(answer)
    removed += ["thinking"] if thought else []
    if endless and not text.strip():
        return Headline("", (), THINKING)
    if (inside := blocks.fenced(text)) is not None:
        text = inside
        removed.append("code fence")
    if text.lstrip()[:1] in ("{", "[") or regex.search(r"[{,]\s*\"(?:headline|title)\"\s*:", text, regex.I):
        found = blocks.from_json(text)
        if found is not None:
            text = found
            removed.append("JSON")
    if (bare := blocks.without_markup(text)) != text:
        text = bare
        removed.append("markup")
    lines = [shown for each in _BREAKS.split(text) if (shown := line.visible(each))]
    if not lines:
        return Headline("", (), MARKS if line.visible(text) or removed else EMPTY)
    if words.REFUSAL.match(lines[0]):
        return Headline("", (), REFUSED)
    listed = _is_list(lines)
    for place, each in enumerate(lines):
        follows = place + 1 < len(lines)
        if line.is_separator(each) or line.is_before(each) or (follows and each.rstrip("*_ ")[-1:] in "::"):
            continue
        if listed and (number := _NUMBER.match(each)):
            each = each[number.end() :]
            removed.append("list")
        found_text, taken = line.headline(each)
        if not regex.search(r"[\p{L}\p{N}\p{So}]", found_text):
            continue
        before = ["sentence before it"] if any(not line.is_separator(one) for one in lines[:place]) else []
        after = ["other lines"] if follows else []
        return Headline(found_text, tuple(dict.fromkeys([*removed, *before, *taken, *after])))
    only_marks = all(line.is_separator(each) or not regex.search(r"\w", each) for each in lines)
    return Headline("", (), MARKS if only_marks else ANNOUNCED)


def _is_list(lines: list[str]) -> bool:
    """Whether lines are numbered one after the other, so that "1. FC Köln gewinnt" alone is none."""
    numbers = [int(found[1]) for each in lines if (found := _NUMBER.match(each))]
    return len(numbers) > 1 and numbers[:2] == [numbers[0], numbers[0] + 1]
