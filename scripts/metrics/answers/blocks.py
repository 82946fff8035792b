"""What a whole answer is wrapped in: thinking, code fences, JSON, markup."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Any

import regex

from scripts.metrics.answers import words

_THINKING = r"(?:think(?:ing)?|thought|reasoning|reflection|analysis|scratchpad)"
_CLOSED = regex.compile(rf"[<\[]({_THINKING})[>\]].*?[<\[]/\1[>\]]", regex.I | regex.S)
_ONLY_CLOSED = regex.compile(rf"^.*[<\[]/{_THINKING}[>\]]", regex.I | regex.S)  # where the prompt opened it
_OPEN = regex.compile(rf"[<\[]{_THINKING}[>\]].*$", regex.I | regex.S)
# Channels of the harmony format, whose special tokens are left out of the text.
_CHANNELS = regex.compile(r"^analysis.*?assistant\s*final", regex.S)
_ONE_CHANNEL = regex.compile(r"^analysis(?=[A-Z\s]).*$", regex.S)
_FENCE = regex.compile(r"(?:^|\n)[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:\n[ \t]*\1|\Z)", regex.S)
_NAMED = regex.compile(
    r"<(headline|title|answer|output|response|h[1-6])(?:\s[^<>]*)?>(.*?)(?:</\1\s*>|\Z)", regex.I | regex.S
)
_BREAKING = regex.compile(r"<(?:br|p|div|li|/p|/div|/li|/h[1-6])(?:\s[^<>]*)?/?>", regex.I)
_TAG = regex.compile(r"</?[a-zA-Z][\w:-]*(?:\s[^<>]*)?/?>|<!--.*?-->", regex.S)
_CHAT_MARK = regex.compile(r"<\|[^|<>\n]{1,40}\|>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>")
_ENTITY = regex.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]\w{1,30});")
_STRING = r'"((?:[^"\\]|\\.)*)'


def without_thinking(text: str) -> tuple[str, bool, bool]:
    """The text without what a model thought aloud, whether there was any, and whether that never ended."""
    out = _CHANNELS.sub("", _CLOSED.sub("\n", text))
    out = _ONLY_CLOSED.sub("", out)
    unclosed = _OPEN.search(out) or _ONE_CHANNEL.search(out)
    if unclosed:
        out = out[: unclosed.start()]
    return out, out != text, unclosed is not None


def fenced(text: str) -> str | None:
    """The content of the first code fence that has any, closed or not."""
    return next((found[2] for found in _FENCE.finditer(text) if found[2].strip()), None)


def from_json(text: str, key: str | None = None) -> str | None:
    """The headline of the first JSON document in a text.

    Args:
        text: the answer.
        key: of the headline; None takes a usual one, or the only text that there is.
    """
    for document in _documents(text):
        found = _text_of(document, key)
        if found is not None:
            return found
    keys = regex.escape(key) if key else "|".join(words.KEYS)
    cut = regex.search(rf'[{{,]\s*"(?:{keys})"\s*:\s*{_STRING}', text, regex.I)  # a document that ends too early
    if cut is None:
        return None
    try:
        return json.loads(f'"{cut[1]}"')
    except ValueError:
        return cut[1]


def _documents(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(strict=False)
    position, tries = 0, 0
    while tries < 20 and (found := regex.compile(r"[{\[]").search(text, position)):
        tries += 1
        try:
            document, position = decoder.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            position = found.start() + 1
            continue
        yield document


def _text_of(document: Any, key: str | None) -> str | None:
    if isinstance(document, str):
        return document if key is None else None
    if isinstance(document, list):
        return _text_of(document[0], key) if document else None
    if not isinstance(document, dict):
        return None
    lower = {str(name).strip().lower(): value for name, value in document.items()}
    for name in [key.lower()] if key else [*words.KEYS, "headlines", "titles"]:
        if name in lower:
            return _text_of(lower[name], None)
    texts = [value for value in document.values() if isinstance(value, str)]
    return texts[0] if key is None and len(document) == len(texts) == 1 else None


def without_markup(text: str) -> str:
    """The text without tags, marks of chat templates and character references; of a named element, its content."""
    named = _NAMED.search(text)
    if named and named[2].strip():
        text = named[2]
    text = _TAG.sub("", _BREAKING.sub("\n", _CHAT_MARK.sub("", text)))
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text)
