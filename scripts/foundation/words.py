"""Words of a text in any script.

White space parts words. Scripts that are written without it (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are taken
character by character, with the marks that belong to a character: to find their words takes a dictionary of each
language, and scores by character are what is reported for them.
"""

import unicodedata

import regex

_UNSPACED = (
    "[[\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}\\p{scx=Bopo}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmer}\\p{sc=Myanmar}]"
    "&&[\\p{L}\\p{N}]]"
)
_IS_UNSPACED = regex.compile(_UNSPACED, regex.V1)
#: A character of such a script with its marks, or else a run of letters, marks and digits.
_PIECE = regex.compile(f"{_UNSPACED}\\p{{M}}*|[[\\p{{L}}\\p{{M}}\\p{{N}}]--{_UNSPACED}]+", regex.V1)
#: Characters that show nothing and part no words, such as a soft hyphen or a zero-width non-joiner.
_HIDDEN = regex.compile("\\p{Cf}+")
_LETTER = regex.compile("\\p{L}")


def split(text: str) -> list[str]:
    """Return the words of a text as they stand: what white space parts, unspaced scripts character by character."""
    words = text.split()
    if text.isascii() or not _IS_UNSPACED.search(text):
        return words
    return [part for word in words for part in (_PIECE.findall(word) if _IS_UNSPACED.search(word) else [word])]


def tokens(text: str) -> list[str]:
    """Return the tokens of a text for ROUGE: runs of letters and digits, compared without regard to case and form.

    On ASCII text they are those of ``rouge_score``'s own tokenizer without its stemmer. Full-width and other
    compatibility forms are equal to the plain ones, and so are composed and decomposed letters.
    """
    return _PIECE.findall(_folded(text))


def share_beyond_ascii(texts: list[str]) -> float:
    """Return the share of all letters of the texts that are none of a to z, 0 where there are no letters."""
    letters = [letter for text in texts for letter in _LETTER.findall(_folded(text))]
    return sum(not letter.isascii() for letter in letters) / len(letters) if letters else 0.0


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", _HIDDEN.sub("", text)).casefold()
    return unicodedata.normalize("NFC", text)
