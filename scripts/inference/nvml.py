"""A session with NVIDIA's management library (NVML) for chosen GPUs; it creates no CUDA context."""

from __future__ import annotations

import contextlib
from typing import Any


class Session:
    """The GPUs of the given unique ids, in that order; without them, or without NVML, it holds none.

    Attributes:
        reason: why there are none, a clause without a full stop; None where there are.
    """

    def __init__(self, gpu_uuids: list[str]) -> None:
        self.handles: list[tuple[str, Any]] = []
        self.bindings: Any = None
        self.reason: str | None = "no GPU is used"
        if not gpu_uuids:
            return
        try:
            import pynvml
        except ImportError:
            self.reason = "the NVML bindings (nvidia-ml-py) are not installed"
            return
        try:
            pynvml.nvmlInit()
            self.bindings = pynvml
            self.handles = [(uuid, pynvml.nvmlDeviceGetHandleByUUID(uuid)) for uuid in gpu_uuids]
            self.reason = None
        except pynvml.NVMLError as error:
            self.close()
            self.reason = f"NVML could not be used ({error})"

    def query(self, name: str, *arguments: Any) -> Any:
        """Result of an NVML function; None if this GPU, driver or binding does not support it."""
        function = getattr(self.bindings, name, None)
        if function is None:
            return None
        try:
            return function(*arguments)
        except self.bindings.NVMLError:
            return None

    def close(self) -> None:
        """End the session."""
        self.handles = []
        if self.bindings is not None:
            with contextlib.suppress(self.bindings.NVMLError):
                self.bindings.nvmlShutdown()
            self.bindings = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
