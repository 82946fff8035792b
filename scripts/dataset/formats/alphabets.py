"""Tells code pages of Latin script apart, which nearly any text could be of, by the letters of languages."""

#: Letters beside a to z, of the languages that a code page is for; the page of Western Europe goes first in a tie.
_LETTERS = {
    "cp1252": (
        "àâæçéèêëîïôœùûüÿ", "äöüß", "áéíñóúü", "ãáâàçéêíóôõúü", "àèéìíîòóùú", "åäöé", "æøåéó", "éëïóöü",
        "àçéèíïóòúü", "áðéíóúýþæö",
    ),
    "cp1250": (
        "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "ąćęłńóśźż", "áéíóöőúüű", "ăâîşţ", "čćđšž",
    ),
    "cp1254": ("çğıöşüâî",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
}  # fmt: skip


def latin_page(sample: bytes) -> str:
    """Return the code page in which most letters that are not ASCII belong to one language."""
    return max(_LETTERS, key=lambda page: _share(sample.decode(page, "replace"), _LETTERS[page]))


def is_latin_page(name: str) -> bool:
    """Whether an encoding is one of those told apart here."""
    return name in _LETTERS


def _share(text: str, alphabets: tuple[str, ...]) -> float:
    """Share of the letters that are not ASCII, or are no letters but stand for some, that an alphabet has at most."""
    found = [char for char in text.replace("İ", "i").lower() if not char.isascii() and (char.isalpha() or char == "�")]
    return (
        max((sum(char in letters for char in found) / len(found) for letters in alphabets), default=0) if found else 0
    )
