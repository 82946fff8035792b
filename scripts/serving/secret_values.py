"""Keys and passwords of servers: never in the study, whose settings are written into its results and its report.

A header or an environment variable of a preset may name one as ``${NAME}``: a variable of the environment that the
study runs in, read when the server is asked or started.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown
from scripts.serving.errors import ServerError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KEY = r"(?:api[-_]?key|token|secret|password|passwd|credentials?)"
_NAMES = re.compile(rf"(?:.*[-_])?(?:{_KEY}|key|cookie|authorization)", re.IGNORECASE)
_OPTION = re.compile(
    r"--?(?:[\w-]*-)?(?:api-?key|hf-token|auth-token|access-token|secret|password)(=.*)?", re.IGNORECASE
)


def check(preset: dict[str, Any], where: str) -> None:
    """See that a preset's headers, environment and command name no secret but by a variable.

    Raises:
        StudyError: one of them holds what its name says is a secret.
    """
    for place, values in (("api.headers", preset["api"].get("headers")), ("environment", preset.get("environment"))):
        for name, value in (values or {}).items():
            if value and _NAMES.fullmatch(name) and not _VARIABLE.search(str(value)):
                raise StudyError(
                    f"{where}: {place}.{shown(name)[1:-1]} holds a secret, which would be written into the results; "
                    "put it into an environment variable, and write ${NAME} in its place."
                )
    check_words(preset.get("command", []), f"{where}.command")


def check_words(words: list[Any], where: str) -> None:
    """See that the words of a command give no option that takes a secret.

    Raises:
        StudyError: one of them does.
    """
    for word in map(str, words):
        if _OPTION.fullmatch(word):
            raise StudyError(
                f"{where} gives {shown(word.partition('=')[0])} a secret, which would be written into the results; "
                "export the environment variable that the server reads in its place."
            )


def check_address(url: str, where: str) -> None:
    """See that an address holds neither a name nor a password.

    Raises:
        StudyError: it does.
    """
    if "@" in urlsplit(url).netloc:
        raise StudyError(
            f"{where} holds a name or a password, which would be written into the results; leave it out, and give a "
            "header in api.headers, such as Authorization: Basic ${NAME}, which names an environment variable."
        )


def fill(values: dict[str, str], where: str) -> dict[str, str]:
    """The values with the environment's variables in place of their names.

    Raises:
        ServerError: a variable is not set.
    """
    return {name: _filled(value, f"{where}.{name}") for name, value in values.items()}


def _filled(value: str, where: str) -> str:
    unset = next((name for name in _VARIABLE.findall(value) if name not in os.environ), None)
    if unset is not None:
        raise ServerError(f"{where} names the environment variable {unset}, which is not set; export it.")
    return _VARIABLE.sub(lambda found: os.environ[found[1]], value)
