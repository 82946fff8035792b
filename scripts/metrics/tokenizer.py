"""The tokenizer of ROUGE: the library's own for English, or a Unicode one for all scripts."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from scripts.foundation import words

ROUGE = "rouge"
UNICODE = "unicode"
CHOICES = ("auto", ROUGE, UNICODE)
#: Share of non-ASCII letters from which ``auto`` chooses the Unicode tokenizer: English news stays below it; German,
#: French or Spanish have 1% to 5%.
BEYOND_ASCII = 0.005


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer and why it was chosen.

    Attributes:
        name: ``rouge``: a to z and digits, with rouge_score's stemmer for English. ``unicode``: letters and digits of
            every script, without a stemmer.
        asked: what the study asks for; ``auto`` goes by the references.
        share_beyond_ascii: of the letters of all references, those that are none of a to z.
    """

    name: str
    asked: str
    share_beyond_ascii: float

    @property
    def function(self) -> Callable[[str], list[str]] | None:
        """From a text to its tokens; None for the library's own."""
        return None if self.name == ROUGE else words.tokens

    def as_dict(self) -> dict[str, Any]:
        """Return what the files say of it."""
        return asdict(self)


def choose(asked: str, references: list[str]) -> Tokenizer:
    """Return the tokenizer to score by: the one that is asked for (one of ``CHOICES``), ``auto`` by the references."""
    share = words.non_ascii_share(references)
    by_share = UNICODE if share >= BEYOND_ASCII else ROUGE
    return Tokenizer(by_share if asked == "auto" else asked, asked, share)
