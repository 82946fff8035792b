"""Presets for the test server, for tests that start servers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from scripts.serving.running import ServerSpec
from tests.support import sse_server

ROOT = Path(__file__).parents[2]


def preset(**options: Any) -> dict[str, Any]:
    """The content of a preset that starts ``tests.support.sse_server`` with these options."""
    words = [word for word in sse_server.command(**options) if word != sys.executable]
    return {
        "label": "test server",
        "executable": sys.executable,
        "command": ["{executable}", *words, "--port={port}"],
        "environment": {"PYTHONPATH": str(ROOT)},
        "version": {"path": "/version", "field": "version"},
        "ready": {"path": "/health", "limit_s": 20},
        "api": {
            "kind": "completions", "path": "/v1/completions", "body": {"temperature": 0},
            "names": {
                "max_tokens": "max_tokens", "stop_tokens": "stop_token_ids", "stop_text": "stop",
                "prompt_tokens": "prompt",
            },
            "token_ids": options.get("token_ids") or None,
        },
        "fixed": {"ignore_eos": True},
        "metrics": {"path": "/metrics", "cached_prompt_tokens": "sse_prefix_cache_hits_total"},
        "proves": [
            {"name": "no prefix cache", "asked": "nothing", "metric": "sse_prefix_cache_hits_total", "increase": 0},
            {"name": "version", "asked": "nothing", "path": "/version", "field": "version", "value": "1.2.3"},
            {"name": "greedy decoding", "asked": "temperature 0", "without": "an answer does not tell"},
        ],
    }  # fmt: skip


def spec(ready_limit_s: float | None = None, **options: Any) -> ServerSpec:
    """The test server with these options, to be started."""
    return ServerSpec(preset(**options), ready_limit_s=ready_limit_s)
