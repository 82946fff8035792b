"""Escapes control and bidirectional characters in untrusted text before it is shown or printed."""

import re
from collections.abc import Sequence
from typing import TextIO

# Control characters, and the characters that reorder or hide what follows them. HTML and XML escaping, done by
# the template engine and the plot writer, does not cover them.
_HARMFUL = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"
)
DANGEROUS = re.compile(f"[{_HARMFUL}]")
_IN_A_LINE = re.compile(f"[\t\n\r{_HARMFUL}]")
_IN_LINES = re.compile(f"[\r{_HARMFUL}]")
#: Longest text of a message that is printed whole, in characters: a name in somebody's data can be megabytes long.
_LONGEST = 4000


def inert(text: str) -> str:
    """Replace harmful characters by visible names, such as ``[U+202E]``; line ends are kept."""
    return DANGEROUS.sub(_named, text)


def one_line(text: str) -> str:
    """Escape a text for one line, line ends and tabs included; very long texts are shortened."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return _IN_A_LINE.sub(_named, text)


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words, e.g. ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def lines(text: str) -> str:
    """Escape a text of several lines for a terminal; lines after the first are indented."""
    return _IN_LINES.sub(_named, text).replace("\n", "\n  ")


def _named(match: re.Match[str]) -> str:
    return f"[U+{ord(match.group()):04X}]"


class InertStream:
    """A text stream that escapes what is written to it and forwards everything else.

    Libraries may print text of data or of a checkpoint. Line ends and carriage returns of progress bars pass.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text; return the number of characters given."""
        self._stream.write(inert(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each of the texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
