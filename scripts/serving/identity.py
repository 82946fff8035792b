"""How a server is asked, and what it says that it is."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from scripts.foundation.wording import one_line, shown
from scripts.serving import answers, executables, placeholders, secret_values
from scripts.serving.api import Api
from scripts.serving.errors import ServerError, WrongModelError
from scripts.serving.running import Running, ServerSpec


def api_of(spec: ServerSpec, named: dict[str, Any], base_url: str) -> Api:
    """The preset's API at an address, its placeholders filled in."""
    asked = spec.preset["api"]
    model = spec.model_name if spec.model_name is not None and asked.get("model") else asked.get("model")
    return Api(
        base_url=base_url,
        path=asked["path"],
        kind=asked["kind"],
        model=placeholders.fill(model, named) or "",
        body=placeholders.fill(asked.get("body", {}), named),
        names=dict(asked["names"]),
        token_ids=asked.get("token_ids"),
        headers=secret_values.fill(asked.get("headers", {}), "engine.api.headers"),
    )


def identify(running: Running) -> None:
    """Read version and model, and refuse another model than was asked for.

    Raises:
        WrongModelError: it serves another one.
        ServerError: it does not say which.
    """
    preset, headers = running.spec.preset, running.api.headers
    if reading := preset.get("version"):
        with contextlib.suppress(ServerError):
            said = answers.field(answers.read_json(running.url(reading["path"]), headers), reading["field"])
            running.version = one_line(str(said))[:80] if isinstance(said, str | int | float) else None
    if running.version is None and running.command and preset.get("package"):
        running.version = executables.package_version(Path(running.command[0]), preset["package"])
    if not (reading := preset.get("served_model")):
        return
    found = answers.field(answers.read_json(running.url(reading["path"]), headers), reading["field"])
    served = [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, str)]
    asked = running.spec.model_name or running.api.model or str(running.values["model"])
    running.facts["served_model"] = served[0] if len(served) == 1 else served
    if asked not in served:
        raise WrongModelError(
            f"{running.spec.label} serves {shown(', '.join(served))[1:-1] or 'no model'}, and the study asks for "
            f"{shown(asked)[1:-1]}; set engine.model to what it serves, or start it with that model."
        )
