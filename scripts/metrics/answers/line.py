# ruff: noqa: RUF001 - quotes and colons of all scripts
"""What a line has around a headline: marks of headings, lists and bold, labels, sentences before it, quotes."""

from __future__ import annotations

import unicodedata

import regex

from scripts.metrics.answers import words

# By Unicode category: control characters and separators become spaces; joiners and direction marks are removed.
_SHOWN = {"Cc": " ", "Zl": " ", "Zp": " ", "Cf": ""}
# Zero-width joiners are part of words in scripts of India and Persia, and of emoji.
_JOINERS = "\u200c\u200d"
_JOINED = regex.compile(rf"(?<![\u0600-\U0010ffff])[{_JOINERS}]")
QUOTES = (
    '""', "''", "“”", "‘’", "„“", "„”", "‚‘", "‚’", "«»", "»«", "‹›", "›‹", "””", "’’", "「」", "『』", "《》", "〈〉",
    "〝〟", "＂＂", "``", "【】",
)  # fmt: skip
_OPENING_ALONE = '"“„«「『《'
_HEADING = regex.compile(r"#{1,6}\s+(.*?)\s*#*")
_BULLET = regex.compile(r"[-*•‣▪–—>]\s+(?=\S)")
_SETEXT = regex.compile(r"[-=*_~`#>\s.]+")
_COLON = r"\s*[::]\s*"
_LABELLED = regex.compile(rf"[*_]{{0,3}}{words.LABEL.pattern}\s*[*_]{{0,3}}{_COLON}[*_]{{0,3}}(?=\s|\S|$)", regex.I)
_INTRODUCED = regex.compile(rf"[*_]{{0,3}}(?:{words.PREAMBLE.pattern})[*_]{{0,3}}{_COLON}[*_]{{0,3}}", regex.I)
_INTRODUCED_ABROAD = regex.compile(rf"(?:{words.FOREIGN_PREAMBLE.pattern}){_COLON}", regex.I)
_QUOTED_AT_END = regex.compile(
    rf"(?:{words.PREAMBLE.pattern})[^\"“«:]{{0,80}}[\"“«]([^\"”»]{{3,}})[\"”»]\s*[.!]?", regex.I
)
_MARKS = ("***", "**", "__", "*", "_", "~~")


def visible(line: str) -> str:
    """The line without control and invisible characters and repeated white space."""
    line = _JOINED.sub("", line)
    line = "".join(char if char in _JOINERS else _SHOWN.get(unicodedata.category(char), char) for char in line)
    return regex.sub(r"\s+", " ", line).strip().strip(_JOINERS)


def unquoted(line: str) -> str:
    """The line without quotes around all of it."""
    if len(line) > 1 and line[0] + line[-1] in QUOTES:
        # Not where the first quote ends inside ("A" and "B"); an apostrophe is no quote.
        inside = regex.sub(r"(?<=\w)['’](?=\w)", "", line[1:-1])
        if line[0] not in inside and line[-1] not in inside:
            return line[1:-1].strip()
    return line


def is_separator(line: str) -> bool:
    """Whether there is nothing but marks."""
    return _SETEXT.fullmatch(line) is not None


def is_before(line: str) -> bool:
    """Whether a whole line only announces a headline."""
    bare = line.strip("*_# ")
    return bool(
        words.POLITE.fullmatch(bare)
        or regex.fullmatch(rf"(?:{words.LABEL.pattern})\s*[::.!]?", bare, regex.I)
        or regex.fullmatch(rf"(?:{words.PREAMBLE.pattern})\s*[::]", bare, regex.I)
        or (words.OPENER.match(bare) and regex.fullmatch(rf"(?:{words.PREAMBLE.pattern})\s*[.!]?", bare, regex.I))
        or regex.fullmatch(rf"(?:{words.FOREIGN_PREAMBLE.pattern})\s*[::]", bare, regex.I)
        or regex.fullmatch(r"(?:assistant|model)", bare)
    )


def headline(line: str) -> tuple[str, list[str]]:
    """The headline of a line that was made visible, and what was taken away, in words."""
    removed: list[str] = []
    while True:
        changed, what = _once(line)
        if what is None:
            return line, list(dict.fromkeys(removed))
        line = changed.strip()
        removed.append(what)


def _once(line: str) -> tuple[str, str | None]:
    """One thing less around a headline, and what it was."""
    if found := _HEADING.fullmatch(line):
        return found[1], "heading"
    if found := _BULLET.match(line):
        return line[found.end() :], "list"
    for mark in _MARKS:
        inside = line[len(mark) : -len(mark)]
        if line.startswith(mark) and line.endswith(mark) and inside.strip() and mark not in inside:
            return inside, "bold"
    if "**" in line and (bare := regex.sub(r"\*\*(.+?)\*\*", r"\1", line)) != line:
        return bare, "bold"
    if line.startswith("**"):
        return line[2:], "bold"  # never closed
    if found := _QUOTED_AT_END.fullmatch(line):
        return found[1], "sentence before it"
    for pattern, what in (
        (_INTRODUCED, "sentence before it"), (_INTRODUCED_ABROAD, "sentence before it"), (_LABELLED, "label"),
    ):  # fmt: skip
        found = pattern.match(line)
        if found and line[found.end() :].strip():
            return line[found.end() :], what
    if found := regex.match(rf"(?:{words.POLITE.pattern})[!,.]\s+(?=[\"“«*])", line, regex.I):
        return line[found.end() :], "sentence before it"
    if (bare := unquoted(line)) != line:
        return bare, "quotes"
    if bare_end := _open_quote(line):
        return bare_end, "quotes"
    return line, None


def _open_quote(line: str) -> str | None:
    """The line without a quote that begins it and, as the answer was cut off, never ends."""
    for pair in QUOTES:
        if line[:1] == pair[0] and line[:1] in _OPENING_ALONE and not any(mark in line[1:] for mark in pair):
            return line[1:].strip() or None
    return None
