"""Text normalisation, so that the same words are the same characters."""

import html
import sys
import unicodedata

from scripts.dataset.markup import text_of

# White space that str.split handles is left to it: a tab or a line break parts words, and must not just vanish.
_CONTROL = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if not chr(code).isspace()}
#: Zero-width space and joiners, soft hyphen, byte-order mark, direction marks, word joiner, invisible operators.
_INVISIBLE = dict.fromkeys(
    (0x00AD, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070))
)
_REMOVED = _CONTROL | _INVISIBLE


def without_markup(text: str) -> tuple[str, bool]:
    """Return a text with HTML entities unescaped (once) and without HTML's tags, and whether it had any.

    Feeds have tags as they are, or escaped as a whole.
    """
    found = text_of(text)
    if found is None and "&" in text:
        text = html.unescape(text)
        found = text_of(text)
    return (text, False) if found is None else (found, True)


def clean(text: str, unescape: bool = True) -> str:
    """Unescape HTML entities (once), remove control and zero-width characters, make it NFC, collapse white space."""
    if unescape and "&" in text:
        text = html.unescape(text)
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFC", text.translate(_REMOVED))
    return " ".join(text.split())


def encodable(text: str) -> bool:
    """Whether the text can be written as UTF-8; a lone surrogate can't."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def shown(raw: bytes | str, limit: int = 300) -> str:
    """Return as much of a rejected row as is safe to keep: printable, valid, no longer than ``limit`` characters."""
    if isinstance(raw, bytes):
        raw = raw[: 4 * limit].decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() else _escaped(char) for char in raw[: limit + 1])
    return text if len(text) <= limit else text[:limit] + "…"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def interned(text: str) -> str:
    """Intern a text, so that equal categories share one object."""
    return sys.intern(text)
