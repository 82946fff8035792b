"""Imports transformers without what most runs never use of it, which takes half of the time that its import takes.

transformers imports torch's compiler for one class and some decorators, torch's sharded tensors for checks of types,
and scipy for the losses of object detection; torch imports the compiler and its symbolic shapes where it computes on
the meta device. What a technique does is the same without them.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

COMPILER = "torch._dynamo"
SHAPES = "torch.fx.experimental.symbolic_shapes"
_CLASS = "_trace_wrapped_higher_order_op", "TransformGetItemToIndex"
_DECORATORS = ("disable", "allow_in_graph", "assume_constant_result")
# What the meta device asks of sizes, where all of them are plain numbers.
_PLAIN: dict[str, Callable[..., Any]] = {
    "expect_true": lambda value: bool(value),
    "guard_or_false": lambda value: bool(value),
    "guard_or_true": lambda value: bool(value),
    "guard_size_oblivious": lambda value: bool(value),
    "statically_known_true": lambda value: bool(value),
    "sym_eq": lambda one, other: one == other,
    "sym_or": lambda *values: any(values),
    "sym_and": lambda *values: all(values),
    "is_nested_int": lambda size: False,
    "has_guarding_hint": lambda size: True,
    "guarding_hint_or_throw": lambda size: size,
}
# What loads models and generates; these import the rest.
_PARTS = ("torch.utils._device", "transformers.modeling_utils", "transformers.masking_utils",
          "transformers.generation.utils", "transformers.loss.loss_utils",
          "transformers.models.auto.modeling_auto")  # fmt: skip


def import_transformers(*, whole: bool) -> None:
    """Import torch and what loads models and generates, unless that was imported before.

    Args:
        whole: whether this process may use torch's compiler, or is one of several that share a model.
    """
    if "transformers" in sys.modules:
        return
    import torch

    with contextlib.ExitStack() as omitted:
        omitted.enter_context(_without("scipy"))
        structure = importlib.import_module("transformers.utils.import_utils")
        listed = _listed(structure.define_import_structure)
        omitted.enter_context(_replaced(structure, "define_import_structure", listed))
        if whole:
            importlib.import_module(COMPILER)
        else:
            omitted.enter_context(without_compiler())
            omitted.enter_context(_replaced(torch.compiler, "disable", _undecorated))
            omitted.enter_context(_replaced(torch.distributed, "is_available", lambda: False))
        for part in _PARTS:
            importlib.import_module(part)


@contextlib.contextmanager
def without_compiler() -> Iterator[None]:
    """In the block torch and transformers do without the compiler and symbolic shapes, unless they are there already.

    A decorator that marks a function for the compiler changes nothing without it, and no size is a symbol.
    """
    import torch

    if COMPILER in sys.modules:
        yield
        return
    stand_ins = [each for each in _stand_ins() if each.__name__ not in sys.modules]
    sys.modules.update({each.__name__: each for each in stand_ins})
    for name in ("_dynamo", "_inductor"):
        setattr(torch, name, sys.modules[f"torch.{name}"])
    try:
        yield
    finally:
        _make_way()


def _stand_ins() -> list[_StandIn]:
    """For the compiler's two halves, the symbolic shapes, and the library that these are written in."""
    item = f"{COMPILER}.{_CLASS[0]}"
    module = _StandIn(item, {_CLASS[1]: _class_at_first_use(item, _CLASS[1])})
    config = _StandIn("torch._inductor.config", {"triton": SimpleNamespace(cudagraphs=False)})  # asked by the profiler
    return [
        _StandIn(COMPILER, {_CLASS[0]: module, "graph_break": _nothing} | dict.fromkeys(_DECORATORS, _undecorated)),
        module,
        _StandIn("torch._inductor", {"config": config}),
        config,
        _StandIn(SHAPES, _PLAIN),
        _StandIn("sympy", {"Basic": type("Basic", (), {})}),
    ]


class _StandIn(ModuleType):
    """Stands in for a module, which is imported after all where more is asked of it."""

    def __init__(self, name: str, given: dict[str, Any]) -> None:
        super().__init__(name)
        vars(self).update(given)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _make_way()  # all of them, since the modules import each other
        return getattr(importlib.import_module(self.__name__), name)


def _make_way() -> None:
    """Take every stand-in out of the places where Python looks for modules."""
    for name, module in [each for each in sys.modules.items() if isinstance(each[1], _StandIn)]:
        del sys.modules[name]
        package, _, own = name.rpartition(".")
        if vars(sys.modules.get(package, module)).get(own) is module:
            delattr(sys.modules[package], own)


def _listed(define: Callable[..., Any]) -> Callable[..., Any]:
    """``define_import_structure`` that lists the folders of models, where it would read all of their files again."""

    def defined(path: str, *arguments: Any) -> Any:
        if Path(path).parent.name != "models":
            return define(path, *arguments)
        return {frozenset(): {each.name: set() for each in Path(path).parent.iterdir() if each.is_dir()}}

    return defined


def _class_at_first_use(module: str, name: str) -> type:
    def new(_: type, *arguments: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **options)

    return type(name, (), {"__new__": new})


def _undecorated(function: Callable[..., Any] | None = None, *_: Any, **options: Any) -> Callable[..., Any]:
    """A decorator that changes nothing, with arguments or without."""
    return function if function is not None else _undecorated


def _nothing(*_: Any, **options: Any) -> None:
    """A mark for the compiler in what it compiles."""


@contextlib.contextmanager
def _without(name: str) -> Iterator[None]:
    """In the block a module can't be imported; None in ``sys.modules`` is how Python marks that."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None
    try:
        yield
    finally:
        del sys.modules[name]


@contextlib.contextmanager
def _replaced(holder: Any, name: str, value: Any) -> Iterator[None]:
    present = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, present)
