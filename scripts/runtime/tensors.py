"""Memory of a module's tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch


def module_bytes(*modules: torch.nn.Module) -> int:
    """Bytes that the modules' weights occupy on this process, quantisation scales included, shared memory once."""
    return sum(size for _, size in tensor_places(modules))


def tensor_places(modules: Iterable[torch.nn.Module]) -> list[tuple[int, int]]:
    """Address and bytes of each storage, shared ones once."""
    storages: dict[int, int] = {}
    for module in modules:
        for tensor in _tensors(module):
            local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
            storage = local.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return list(storages.items())


def _tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()
    for part in module.modules():
        # bitsandbytes keeps scales beside the parameters, and after the first use int8 weights too.
        for holder in (part, getattr(part, "weight", None), getattr(part, "state", None)):
            for name in ("CB", "SCB"):
                value = getattr(holder, name, None)
                if _is_tensor(value):
                    yield value
        yield from _quantisation_state(getattr(getattr(part, "weight", None), "quant_state", None))


def _quantisation_state(state: Any) -> Iterator[torch.Tensor]:
    if state is None:
        return
    for name in ("absmax", "code", "offset"):
        value = getattr(state, name, None)
        if _is_tensor(value):
            yield value
    yield from _quantisation_state(getattr(state, "state2", None))


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.numel() > 0
