"""Facets with methods, of which a technique uses one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from scripts.foundation.errors import StudyError
from scripts.techniques import registry
from scripts.techniques.facet import Facet


class Method(Facet):
    """One method of a facet: it applies and proves itself as a facet does.

    Attributes:
        defaults: the method's options with their defaults.
    """

    defaults: ClassVar[dict[str, Any]] = {}

    def resolved(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options with their defaults, as they are kept in a technique's settings."""
        return options


def _by_method(hook: str) -> Callable[..., Any]:
    """A facet hook that delegates to the value's method."""

    def call(self: MethodFacet, value: Any, *arguments: Any) -> Any:
        return getattr(self.method(value), hook)(value, *arguments)

    call.__doc__ = getattr(Facet, hook).__doc__
    return call


class MethodFacet(Facet):
    """A facet whose value is ``off``, the name of a method, or an object with the name and the method's options.

    Attributes:
        key: what holds the method's name in such an object.
        off: the name that switches the facet off.
        default: the method of an object without a name; None where it must have one.
        kind: what a method is called in sentences.
    """

    key = "method"
    off = "none"
    default: str | None = None
    kind: str

    def method(self, value: dict[str, Any]) -> Any:
        """The method of a resolved value."""
        return registry.load_method(self.name, value[self.key])

    def methods_used(self, value: Any) -> list[str]:
        """The method of the value."""
        return [value[self.key]]

    def resolve(self, value: Any) -> Any:
        """Spell out the shorthand and fill in the method's defaults."""
        if value in (None, self.off, {self.key: self.off}):
            return None
        given = value if isinstance(value, dict) else {self.key: value}
        name, known = given.get(self.key, self.default), registry.method_names(self.name)
        if name not in known:
            *most, last = (f"'{each}'" for each in known)
            raise StudyError(f"{self.kind} {name!r} does not exist; use '{self.off}', {', '.join(most)} or {last}.")
        method = registry.load_method(self.name, name)
        options = {self.key: name} | method.defaults
        unknown = sorted(set(given) - set(options))
        if unknown:
            raise StudyError(f"{self.name} '{name}' has no option '{unknown[0]}'; it has {', '.join(options)}.")
        return method.resolved(options | given)

    settle = _by_method("settle")
    check = _by_method("check")
    processes = _by_method("processes")
    transform_weights = _by_method("transform_weights")
    check_model = _by_method("check_model")
    check_machine = _by_method("check_machine")
    check_shapes = _by_method("check_shapes")
    check_prompts = _by_method("check_prompts")
    change_config = _by_method("change_config")
    libraries = _by_method("libraries")
    load_options = _by_method("load_options")
    after_load = _by_method("after_load")
    companion = _by_method("companion")
    companion_facets = _by_method("companion_facets")
    calibration_rows = _by_method("calibration_rows")
    generation_options = _by_method("generation_options")
    reserved_options = _by_method("reserved_options")
    read_prompts = _by_method("read_prompts")
    compiles_shapes = _by_method("compiles_shapes")
    generator = _by_method("generator")
    check_served = _by_method("check_served")
    batching = _by_method("batching")
    recorder = _by_method("recorder")
    evidence = _by_method("evidence")
