"""What is said of bad input: one sentence that steers no terminal."""

import unicodedata

LONGEST = 1500  # with characters escaped
# Control and format characters, lone surrogates, line and paragraph separators.
_STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def fault(said: str) -> str | None:
    """What is wrong with a sentence; None where nothing is."""
    if steering := [character for character in said if unicodedata.category(character) in _STEERING]:
        return f"it holds {steering}"
    if not said.endswith("."):
        return "it does not end with a full stop"
    return f"it has {len(said)} characters" if len(said) > LONGEST else None
