"""Triton's interpreter without the work that it repeats, which is about half of it."""

from typing import Any

from triton import language
from triton.runtime import interpreter


def quicken() -> None:
    """Replace the language once a launch, not at each call of a function; don't look for integers that overflow.

    What the interpreter finds of those it tells nobody.
    """
    if interpreter.GridExecutor.__call__.__module__ == __name__:
        return
    launch, replace = interpreter.GridExecutor.__call__, interpreter._patch_lang
    replaced: set[frozenset[int]] = set()

    def once(function: Any) -> interpreter._LangPatchScope:
        """What ``replace`` does, unless this launch has done so for a function that sees the same of the language."""
        modules = (language, language.core)
        seen = frozenset(id(each) for each in modules if any(each is known for known in function.__globals__.values()))
        if seen in replaced:
            return interpreter._LangPatchScope()
        replaced.add(seen)
        return replace(function)

    def launched(self: Any, *arguments: Any, **options: Any) -> None:
        replaced.clear()
        launch(self, *arguments, **options)

    interpreter._patch_lang, interpreter.GridExecutor.__call__ = once, launched
    interpreter.interpreter_builder.options = interpreter.InterpreterOptions(sanitize_overflow=False)
