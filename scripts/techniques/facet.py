"""The interface of facets; a facet overrides what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scripts.runtime.generation import Generator, Observation, SampleRecorder
    from scripts.runtime.models import Checkpoint, Loaded, Process
    from scripts.runtime.place import Place
    from scripts.runtime.serving import Batching


class Facet:
    """One axis of a technique. Values are plain JSON; None means that the facet is off.

    Attributes:
        name: that of its folder, and of its key in a technique.
        order: facets act on a model in this order as it is loaded.
    """

    name: str
    order: int

    def methods_used(self, value: Any) -> list[str]:
        """Names of the facet's methods that a resolved value uses, if it has any."""
        return []

    def resolve(self, value: Any) -> Any:
        """The value with its shorthand spelled out and its defaults filled in; None when it switches the facet off."""
        return value

    def settle(self, value: Any, facets: dict[str, Any]) -> Any:
        """The resolved value as it is beside the technique's other facets; called before ``check``.

        Raises:
            StudyError: it has an option that does not exist beside them.
        """
        return value

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """Refuse an invalid value or combination.

        Raises:
            StudyError: ``value`` does not compose with the technique's other ``facets``; the message names both.
        """

    def processes(self, value: Any) -> int:
        """How many processes the facet needs, each with a GPU of its own where there are GPUs."""
        return 1

    def transform_weights(self, value: Any, checkpoint: Checkpoint, notes: dict[str, Any]) -> None:
        """Change a checkpoint's tensors before they are loaded; ``notes`` is kept for the evidence.

        Raises:
            UnsupportedError: the checkpoint's layers have another form than the facet works on.
        """
        raise NotImplementedError

    # Whether transform_weights is to be called: it needs the whole checkpoint in memory.
    transforms_weights = False

    def check_model(self, value: Any, config: Any) -> None:
        """Refuse a model that the facet can't work on, by its transformers configuration.

        Raises:
            UnsupportedError: a sentence that names the figure that does not fit.
        """

    def check_machine(self, value: Any, place: Place) -> None:
        """Refuse a machine or libraries that can't do it. Imports nothing heavy.

        Raises:
            UnsupportedError: a sentence that says what is missing.
        """

    def check_shapes(self, value: Any, shapes: dict[str, tuple[int, int]], place: Place) -> None:
        """Refuse linear layers that can't be stored or multiplied so.

        Args:
            value: the facet's value.
            shapes: [out, in] of each layer, or of what one process holds of it, by name.
            place: where it runs.

        Raises:
            UnsupportedError: a sentence that names the layer.
        """

    def check_prompts(self, value: Any, prompts: list[str]) -> None:
        """Refuse prompts that leave the facet without effect, before a model is loaded.

        Raises:
            UnsupportedError: a sentence that says what they lack.
        """

    def change_config(self, value: Any, config: Any) -> None:
        """Change the transformers configuration, in place, to that of the model that comes out.

        Called after ``check_model`` and before the later facets' one, so that these judge the changed model.

        Raises:
            UnsupportedError: a sentence that names what does not fit.
        """

    def libraries(self, value: Any) -> tuple[str, ...]:
        """Modules that are imported when the facet acts, whose memory is not the model's."""
        return ()

    def load_options(self, value: Any, process: Process, facets: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments for ``from_pretrained``.

        Raises:
            UnsupportedError: this machine or its libraries can't do it.
        """
        return {}

    def after_load(self, value: Any, loaded: Loaded) -> None:
        """Finish what ``from_pretrained`` can't do by itself."""

    def companion(self, value: Any) -> str | None:
        """The name of a second model that the facet needs, if any."""
        return None

    def companion_facets(self, value: Any) -> dict[str, Any]:
        """The second model's own facets by name, resolved; of those left out it has none."""
        return {}

    def calibration_rows(self, value: Any) -> int:
        """How many training rows the facet must look at before it can act."""
        return 0

    def generation_options(self, value: Any, loaded: Loaded) -> dict[str, Any]:
        """Keyword arguments for ``generate``."""
        return {}

    def reserved_options(self, value: Any, loaded: Loaded, positions: int) -> dict[str, Any]:
        """Further arguments for ``generate``, given the maximum length of prompt and headline in tokens."""
        return {}

    # Whether read_prompts is to be called.
    reads_prompts = False

    def read_prompts(self, value: Any, loaded: Loaded, prompts: list[list[int]]) -> None:
        """Prepare stock ``generate`` for all prompts that will be timed, as token ids without padding.

        Raises:
            UnsupportedError: a sentence that says what the prompts or the model lack.
        """

    def compiles_shapes(self, value: Any) -> bool:
        """Whether ``generate`` may compile something for the first batch of a shape, on one device or another."""
        return False

    def generator(self, value: Any, loaded: Loaded, pad: int) -> Generator | None:
        """A decode loop used instead of ``generate``; ``pad`` is the padding token."""
        return None

    def check_served(self, value: Any, facets: dict[str, Any]) -> None:
        """Refuse to serve requests as they come, before a model is loaded; ``facets`` are all of the technique.

        Raises:
            UnsupportedError: a sentence that says what does not do it.
        """

    def batching(self, value: Any, loaded: Loaded, pad: int, slots: int | None) -> Batching | None:
        """What serves requests as they come, ``slots`` at a time (by its own choice if None), if this is its facet."""
        return None

    def recorder(self, value: Any, loaded: Loaded) -> SampleRecorder | None:
        """Counter of per-sample facts while samples are timed, or None."""
        return None

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Facts that show that the facet was applied, as JSON.

        Raises:
            EvidenceError: the facts contradict the settings.
        """
        return {}
