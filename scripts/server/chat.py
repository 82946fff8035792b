"""A chat as a prompt: the model's own template, a program of strangers, in Jinja's sandbox as transformers runs it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from scripts.server.asked import RefusedError


class Template:
    """A chat template.

    Args:
        source: the template; None where the model has none.
        tokens: names and texts of special tokens, such as ``bos_token``.
    """

    def __init__(self, source: str | None, tokens: dict[str, str]) -> None:
        self._tokens, self._template = tokens, None
        if source:
            environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
            environment.filters["tojson"] = _tojson
            environment.globals["raise_exception"] = _refuse
            environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
            self._template = environment.from_string(source)

    def prompt(self, messages: list[dict[str, Any]]) -> str:
        """The prompt of a chat.

        Raises:
            RefusedError: the model has no template, or its template refuses the messages.
        """
        if self._template is None:
            raise RefusedError("The model has no chat template; ask /v1/completions.", field="messages")
        try:
            return self._template.render(messages=messages, add_generation_prompt=True, **self._tokens)
        except RefusedError:
            raise
        except (jinja2.TemplateError, TypeError, ValueError, KeyError) as fault:
            said = " ".join(str(fault).split())[:200]
            raise RefusedError(f"The model's chat template fails ({said}).", field="messages") from None


def _refuse(message: str) -> None:
    raise RefusedError(f"The model's chat template refuses the messages: {' '.join(str(message).split())[:200]}.")


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
