"""Words of a text in any script.

Words are separated by white space. Scripts written without it (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are split
into characters with their combining marks, as is usual for ROUGE in these languages: segmenting words would need a
dictionary of each.
"""

import math
import unicodedata

import regex

_UNSPACED = (
    "[[\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}\\p{scx=Bopo}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}]"
    "&&[\\p{L}\\p{N}]]"
)
_WIDE = "[[\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}\\p{scx=Bopo}]&&[\\p{L}\\p{N}]]"
_IS_WIDE = regex.compile(_WIDE, regex.V1)
#: Characters of a word: rounded from running text, for bounds that are wide anyway.
_CHARACTERS_WIDE, _CHARACTERS_LONG = 2, 4
_IS_UNSPACED = regex.compile(_UNSPACED, regex.V1)
#: A character of such a script with its marks, or else a run of letters, marks and digits.
_PIECE = regex.compile(f"{_UNSPACED}\\p{{M}}*|[[\\p{{L}}\\p{{M}}\\p{{N}}]--{_UNSPACED}]+", regex.V1)
#: Invisible characters that do not separate words, such as a soft hyphen or a zero-width non-joiner.
_HIDDEN = regex.compile("\\p{Cf}+")
_LETTER = regex.compile("\\p{L}")


def split(text: str) -> list[str]:
    """Return the words of a text, separated by white space; unspaced scripts character by character."""
    words = text.split()
    if text.isascii() or not _IS_UNSPACED.search(text):
        return words
    return [part for word in words for part in (_PIECE.findall(word) if _IS_UNSPACED.search(word) else [word])]


def count(text: str) -> int:
    """Return about how many words a text has, for bounds on its length.

    White space parts words. Scripts written without it are counted by characters: two of Chinese or Japanese are taken
    for a word, and four of Thai, Lao, Khmer or Burmese, marks aside, which is near what words of running text have.
    """
    parts = split(text)
    if text.isascii():
        return len(parts)
    wide = sum(bool(_IS_WIDE.match(part)) for part in parts)
    long = sum(bool(_IS_UNSPACED.match(part)) for part in parts) - wide
    return len(parts) - wide - long + math.ceil(wide / _CHARACTERS_WIDE) + math.ceil(long / _CHARACTERS_LONG)


def tokens(text: str) -> list[str]:
    """Return the tokens of a text for ROUGE: runs of letters and digits, compared without regard to case and form.

    On ASCII text they are those of ``rouge_score``'s own tokenizer without its stemmer. Full-width and other
    compatibility forms are equal to the plain ones, and so are composed and decomposed letters.
    """
    return _PIECE.findall(_folded(text))


def non_ascii_share(texts: list[str]) -> float:
    """Share of the texts' letters that are not ASCII; 0 without letters."""
    letters = [letter for text in texts for letter in _LETTER.findall(_folded(text))]
    return sum(not letter.isascii() for letter in letters) / len(letters) if letters else 0.0


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", _HIDDEN.sub("", text)).casefold()
    return unicodedata.normalize("NFC", text)
