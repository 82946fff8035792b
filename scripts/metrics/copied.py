"""How much of a headline is copied from its summary."""

import string

import numpy as np

from scripts.foundation.words import split


def copied_share(headline: str, summary: str) -> float | None:
    """Return the extractive fragment coverage of a headline, or None where it has no words.

    Coverage is the share of its words that lie in fragments shared with the summary (Grusky et al., 2018, Newsroom,
    section 4). A fragment may be one word long, so a word lies in one exactly when the summary has that word. Words are
    lower-cased, with the punctuation around them stripped; in scripts without spaces each character counts as one.
    """
    ours, theirs = words(headline), set(words(summary))
    return float(np.mean([word in theirs for word in ours])) if ours else None


def words(text: str) -> list[str]:
    """Return the words of a text, lower-cased, without the punctuation around them."""
    return [word for token in split(text.lower()) if (word := token.strip(_PUNCTUATION))]


_PUNCTUATION = string.punctuation + "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u00ab\u00bb"
