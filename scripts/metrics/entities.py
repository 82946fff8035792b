"""What a headline states and its summary does not: numbers, dates and names, by rules that know no language.

The precision of entities (after Nan et al., 2021, Entity-level Factual Consistency of Abstractive Text Summarization),
with rules in place of a tagger of one language:

- A **number** is a run of digits of any script, with its separators of groups and decimals. Where it can be read in two
  ways (1.200), either counts. Words for numbers, and other roundings or scales of one, are not known as the same.
- A **date** is three numbers joined by the same sign (2026-05-03, 3.5.2026). The summary has it if it has it in any
  order, or else two of the three as numbers.
- A **name** is a word that is capitalised where others are not. Headlines that capitalise (nearly) every word tell
  nothing by that; in them it is one that the study's summaries capitalise inside of sentences and never write small.
  Where a language capitalises many words (German), or its script has no capitals, no names are looked for.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import regex

NUMBER, DATE, NAME = "number", "date", "name"
MANY_CAPITALS = 0.25
"""Share of the words inside of sentences; English news has 0.05 to 0.2, German 0.3 to 0.4."""
TITLE_CASE = 0.5
ENDING = 3
"""Letters by which forms of one name may differ at their ends, as under cases of Slavic languages."""
LEAST_STEM = 4

_DATE = regex.compile(r"(?<![\p{Nd}])(\p{Nd}{1,4})([-/.])(\p{Nd}{1,2})\2(\p{Nd}{1,4})(?![\p{Nd}])")
_NUMBER = regex.compile(r"\p{Nd}+(?:[.,'\u2019\u00a0\u202f\u066b\u066c]\p{Nd}+)*")
_SEPARATOR = regex.compile(r"[.,'\u2019\u00a0\u202f\u066b\u066c]")
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*(?:[.'\u2019]?[\p{L}\p{M}\p{Nd}]+)*")
_OPENS = regex.compile(r"(?:^|[.!?:;\u2026\u2013\u2014|\n]|[\u00ab\u201c\u201e\"'\u2018(]|\s-)\s*$")
"""What stands before a word that may be capitalised for its place."""
_POSSESSIVE = regex.compile(r"['\u2019]\p{L}{0,2}$")


@dataclass(frozen=True)
class Lexicon:
    """What capitals mean in a study's summaries.

    Attributes:
        telling: whether they mark names at all.
        names: words that are capitalised inside of sentences and never small; folded.
        small: words that are written small somewhere; folded.
    """

    telling: bool = False
    names: frozenset[str] = frozenset()
    small: frozenset[str] = frozenset()


@dataclass
class Found:
    """Entities of one headline.

    Attributes:
        counts: per kind how many there are, and how many of them the summary has.
        unsupported: those that it has not, as written.
    """

    counts: dict[str, list[int]] = field(default_factory=lambda: {kind: [0, 0] for kind in (NUMBER, DATE, NAME)})
    unsupported: list[str] = field(default_factory=list)

    def add(self, kind: str, text: str, supported: bool) -> None:
        """Count one entity."""
        self.counts[kind][0] += 1
        self.counts[kind][1] += supported
        if not supported:
            self.unsupported.append(text)


def lexicon(texts: Iterable[str]) -> Lexicon:
    """Learn from running text what capitals mean."""
    capital: set[str] = set()
    small: set[str] = set()
    inside = capitals = 0
    for text in texts:
        for word, opens in _words(text):
            if word[0].islower():
                small.add(_fold(word))
            elif not opens and word[0].isupper():
                capital.add(_fold(word))
            if not opens:
                inside += word[0].islower() or word[0].isupper()
                capitals += word[0].isupper()
    telling = inside > 0 and capitals <= MANY_CAPITALS * inside
    return Lexicon(telling, frozenset(capital - small), frozenset(small))


def compare(headline: str, summary: str, known: Lexicon) -> Found:
    """Return the entities of a headline, and which of them its summary has not."""
    found = Found()
    rest = headline
    dates = {frozenset(map(_short_year, date)) for date, _ in _dates(summary)}
    numbers = {reading for text in _NUMBER.findall(_DATE.sub(" ", summary)) for reading in _readings(text)}
    numbers |= {str(number) for date, _ in _dates(summary) for number in date}
    for date, text in _dates(headline):
        known_date = frozenset(map(_short_year, date)) in dates
        found.add(DATE, text, known_date or sum(str(part) in numbers for part in date) >= 2)
        rest = rest.replace(text, " ", 1)
    for text in _NUMBER.findall(rest):
        found.add(NUMBER, text, bool(_readings(text) & numbers))
    if known.telling:
        words = [word for word, _ in _words(summary)]
        for name in _names(headline, known):
            found.add(NAME, name, _has_name(name, words))
    return found


def columns(headlines: list[str], summaries: list[str]) -> dict[str, list[Any]]:
    """Return per headline how many entities there are and how many its summary has, and the texts of the others.

    Returns:
        ``entities``, ``numbers`` (dates among them) and ``names``, each with ``…_supported``: counts;
        ``unsupported``: lists of texts.
    """
    known = lexicon(summaries)
    found = [compare(headline, summary, known) for headline, summary in zip(headlines, summaries, strict=True)]
    kinds = {"entities": (NUMBER, DATE, NAME), "numbers": (NUMBER, DATE), "names": (NAME,)}
    result: dict[str, list[Any]] = {"unsupported": [one.unsupported for one in found]}
    for name, of in kinds.items():
        result[name] = [sum(one.counts[kind][0] for kind in of) for one in found]
        result[f"{name}_supported"] = [sum(one.counts[kind][1] for kind in of) for one in found]
    return result


def _names(headline: str, known: Lexicon) -> list[str]:
    """Return the names of a headline, each once, as written."""
    words = list(_words(headline))
    others = [word for word, opens in words if not opens and len(word) > ENDING]
    title = len(others) < 2 or sum(word[0].isupper() for word in others) > TITLE_CASE * len(others)
    found: dict[str, str] = {}
    for word, opens in words:
        folded = _fold(word)
        marked = not (title or opens) and folded not in known.small
        if len(word) > 1 and word[0].isupper() and (marked or folded in known.names):
            found.setdefault(folded, word)
    return list(found.values())


def _has_name(name: str, words: list[str]) -> bool:
    """Whether a summary's words have a name, in another form at its end too, or its words' first letters."""
    folded = _fold(name)
    stem = folded[: max(LEAST_STEM, len(folded) - ENDING)]
    for word in map(_fold, words):
        near = len(stem) >= LEAST_STEM and word.startswith(stem) and abs(len(word) - len(folded)) <= ENDING
        if word == folded or near:
            return True
    initials = "".join(word[0] for word in words if word[0].isupper())
    return name.isupper() and len(name) > 1 and name.replace(".", "") in initials


def _words(text: str) -> Iterable[tuple[str, bool]]:
    """Yield each word, and whether its place alone may be why it is capitalised."""
    for match in _WORD.finditer(text):
        yield match[0], bool(_OPENS.search(text[max(0, match.start() - 3) : match.start()]) or match.start() == 0)


def _fold(word: str) -> str:
    return _POSSESSIVE.sub("", unicodedata.normalize("NFKC", word)).replace(".", "").casefold()


def _dates(text: str) -> list[tuple[tuple[int, int, int], str]]:
    return [((int(m[1]), int(m[3]), int(m[4])), m[0]) for m in _DATE.finditer(text)]


def _short_year(number: int) -> int:
    """Take a year of four digits for that of two."""
    return number % 100 if number > 999 else number


def _readings(text: str) -> set[str]:
    """Return what a number can mean, in ASCII digits: its groups joined, and with its last separator for decimals."""
    digits = "".join(str(unicodedata.digit(sign)) if sign.isdigit() else sign for sign in text)
    parts = _SEPARATOR.split(digits)
    if len(parts) == 1:
        return {digits.lstrip("0") or "0"}
    grouped = all(len(part) == 3 for part in parts[1:]) and len(parts[0]) <= 3
    found = {"".join(parts).lstrip("0")} if grouped else set()
    if len(parts) == 2 or not grouped:
        whole, decimals = "".join(parts[:-1]).lstrip("0") or "0", parts[-1].rstrip("0")
        found.add(f"{whole}.{decimals}" if decimals else whole)
    return found
