"""The text of HTML: feeds put tags, scripts and images into summaries, and no reader of a headline sees those."""

from typing import Any

#: What is no text although it stands between tags.
_NO_TEXT = ("script", "style", "noscript", "template", "iframe", "object", "head")
#: Elements that part no words: "<b>S</b>torm" is one.
_INSIDE_WORDS = {
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr",
}  # fmt: skip


def text_of(html: str) -> str | None:
    """Return the text of a piece of HTML, its entities unescaped; None where it has no tag or comment of HTML.

    A "<" that begins none, and a name in angle brackets that is no element's, are text.
    """
    if "<" not in html:
        return None
    # Imported here: few texts have any.
    import lxml.etree
    import lxml.html
    from lxml.html import defs

    try:
        root = lxml.html.fragment_fromstring(html, create_parent="div")
    except (lxml.etree.LxmlError, ValueError):  # control characters
        return None
    inside = list(root.iterdescendants())
    if not any(_is_known(each, defs.tags) for each in inside):
        return None
    lxml.etree.strip_elements(root, *_NO_TEXT, lxml.etree.Comment, lxml.etree.ProcessingInstruction, with_tail=False)
    for each in root.iterdescendants():
        if each.tag not in _INSIDE_WORDS:
            each.text, each.tail = f" {each.text or ''}", f" {each.tail or ''}"
    return "".join(root.itertext())


def _is_known(element: Any, names: frozenset[str]) -> bool:
    # A comment's tag is a function.
    return not isinstance(element.tag, str) or element.tag in names
