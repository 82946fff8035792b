"""What a server tells of itself over HTTP: JSON and text of small routes."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from scripts.serving.errors import ServerError

MOST_BYTES = 16_000_000
ROUTE_S = 10.0
# The environment may name a proxy, which could not reach this machine's own ports.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def status(url: str, timeout: float = ROUTE_S, headers: dict[str, str] | None = None) -> tuple[int | None, str]:
    """Status code of a GET request, None where there was no answer, and what kept it from answering."""
    try:
        with _OPENER.open(urllib.request.Request(url, headers=headers or {}), timeout=timeout) as answer:  # noqa: S310
            answer.read(MOST_BYTES)
            return answer.status, ""
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, f"status {error.code}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return None, str(getattr(error, "reason", None) or error)


def text(url: str, headers: dict[str, str] | None = None) -> str:
    """The text of a route.

    Raises:
        ServerError: it does not answer, or not with status 200.
    """
    try:
        with _OPENER.open(urllib.request.Request(url, headers=headers or {}), timeout=ROUTE_S) as answer:  # noqa: S310
            return answer.read(MOST_BYTES).decode("utf-8", errors="replace")
    except urllib.error.HTTPError as error:
        error.close()
        raise ServerError(f"{url} answers with status {error.code}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServerError(f"{url} does not answer ({getattr(error, 'reason', None) or error}).") from None


def read_json(url: str, headers: dict[str, str] | None = None) -> Any:
    """The JSON of a route.

    Raises:
        ServerError: it does not answer with JSON.
    """
    try:
        return json.loads(text(url, headers))
    except (ValueError, RecursionError):
        raise ServerError(f"{url} answers with what is no JSON.") from None


def field(content: Any, path: str) -> Any:
    """A field of JSON by its dotted path, a number for a position and ``*`` for all of a list; None where it lacks."""
    head, _, rest = path.partition(".")
    if head == "*":
        inner = content if isinstance(content, list) else []
        return [field(each, rest) for each in inner] if rest else inner
    if isinstance(content, list):
        content = content[int(head)] if head.isdigit() and int(head) < len(content) else None
    else:
        content = content.get(head) if isinstance(content, dict) else None
    return field(content, rest) if rest and content is not None else content
