"""Base class of engines that are servers: a run asks them over HTTP and loads no model itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from scripts.foundation.errors import StudyError
from scripts.models.packed import forms
from scripts.runtime.errors import UnsupportedError
from scripts.serving import executables, presets, secret_values
from scripts.techniques.engine.base import EngineMethod

if TYPE_CHECKING:
    from scripts.runtime.place import Place

# Facets that change the model, which the server loads itself.
ITS_OWN = ("pruning", "quantization", "parallel", "speculation")


class ServedEngine(EngineMethod):
    """A server: its preset says how it is started, asked and read."""

    # Of a preset, as the engine itself may say them; None leaves the preset's.
    defaults: ClassVar[dict[str, Any]] = {"preset": None, "model": None} | dict.fromkeys(presets.KEYS)
    run_by = "scripts.inference.served"

    def resolved(self, options: dict[str, Any]) -> dict[str, Any]:
        """Without what is left to the preset."""
        return {key: value for key, value in options.items() if value not in (None, [], {})}

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """The preset must be right, and no facet may ask for what only the server can do."""
        if facets["kv_cache"] == "none":
            raise StudyError(f"engine '{value['name']}' does not compose with kv_cache 'none'; use kv_cache: dynamic.")
        for other in ITS_OWN:
            if facets.get(other):
                raise StudyError(
                    f"engine '{value['name']}' does not compose with {other}, since the server loads the model itself; "
                    f"set it in the server's arguments, and remove {other}."
                )
        preset = self.preset(value)
        if facets.get("prompt_tokens") and not preset["api"]["names"].get("prompt_tokens"):
            raise StudyError(
                f"engine '{value['name']}' does not compose with prompt_tokens, since the server takes prompts as "
                "text; remove prompt_tokens."
            )

    def check_model(self, value: Any, config: Any) -> None:
        """Of a quantised checkpoint the server must have what unpacks it, since it gets it as it is."""
        form, preset = None if value.get("model") else forms.of_config(config), self.preset(value)
        package = (preset.get("quantised_by") or {}).get(form.method) if form else None
        if package and importlib.util.find_spec(package) is None:
            raise UnsupportedError(
                f"{preset['label']} reads weights in {form.label} with the package {package}, which is not installed; "
                "engines transformers and graph read them without it."
            )

    def can_draw(self, value: Any) -> bool:
        """The preset says how a server is asked to."""
        return "sampling" in self.preset(value)

    def draws_alike(self, value: Any) -> bool:
        """Only the project's own server draws with the study's noise."""
        return bool(self.preset(value).get("draws_alike"))

    def check_served(self, value: Any, facets: dict[str, Any]) -> None:
        """The project's own server has nothing to add to it."""
        raise UnsupportedError(f"Engine '{value['name']}' is a server itself; ask it at its own address.")

    def preset(self, value: Any) -> dict[str, Any]:
        """The content of the engine's preset, with what the engine says itself.

        Raises:
            StudyError: it is no preset.
        """
        return presets.resolve(value, "engine")


class StartedServer(ServedEngine):
    """A server that each run starts and ends."""

    defaults: ClassVar[dict[str, Any]] = ServedEngine.defaults | {
        "arguments": None, "ready_limit_s": None, "gpus": 1, "max_length": None,
    }  # fmt: skip

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """It needs a command, and where it loads no checkpoint, a file."""
        if value.get("preset") is None and value.get("command") is None:
            raise StudyError(
                f"engine 'server' has neither preset nor command; name a preset ({', '.join(presets.names())}), or "
                "give command, api and ready."
            )
        super().check(value, facets)
        secret_values.check_words(value.get("arguments") or [], "engine.arguments")
        if self.preset(value).get("model_files") == "gguf" and not value.get("model"):
            raise StudyError(
                f"engine.preset '{value.get('preset')}' loads a GGUF file of the model; set engine.model to its path."
            )

    def processes(self, value: Any) -> int:
        """One, however many the server starts, but for each of its GPUs one."""
        return value["gpus"]

    def check_machine(self, value: Any, place: Place) -> None:
        """Its program must be there."""
        preset = self.preset(value)
        name = preset.get("executable") or next(iter(preset["command"]), "")
        if name and executables.find(name) is None:
            install = preset.get("install") or "install it, or set engine.executable to its path"
            raise UnsupportedError(f"The program {name} of {preset['label']} is not there; {install}.")

    def asked(self, value: Any) -> dict[str, Any]:
        """The preset's content, which program it is, and which file it loads in place of the checkpoint."""
        preset = self.preset(value)
        name = preset.get("executable") or next(iter(preset["command"]), "")
        found = {"preset": preset, "program": executables.identity(name, preset.get("package"))}
        return found | ({"model": executables.large_file(Path(value["model"]))} if value.get("model") else {})


class RunningServer(ServedEngine):
    """A server that already runs."""

    defaults: ClassVar[dict[str, Any]] = ServedEngine.defaults | {"url": None}

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """It needs an address."""
        url = value.get("url")
        if not url or not url.startswith(("http://", "https://")):
            given = f"is {url!r}" if url else "is missing"
            raise StudyError(f"engine.url {given}; give the endpoint's address, such as http://127.0.0.1:8000.")
        secret_values.check_address(url, "engine.url")
        super().check(value, facets)

    def asked(self, value: Any) -> dict[str, Any]:
        """The preset's content; what runs at the address is not known before it is asked."""
        return {"preset": self.preset(value), "program": None}
