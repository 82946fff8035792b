"""Loading a checkpoint with the facets of a technique."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.foundation.failures import first_line
from scripts.inference.stored_names import stored_names
from scripts.models.libraries import without_compiler
from scripts.models.packed import forms
from scripts.models.stored_files import weight_files
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.layers import linear_layers, stacked_weights
from scripts.runtime.models import Checkpoint, Loaded, Process
from scripts.runtime.place import Place
from scripts.techniques.facet import Facet
from scripts.techniques.registry import companion_settings, used_facets

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from scripts.models.packed.tensors import PackedTensors

logger = logging.getLogger(__name__)


def load_tokenizer(directory: str | Path) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer; no code of the checkpoint is run."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(directory), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise StudyError(f"{directory} has no tokenizer that transformers can load ({first_line(error)}).") from None


def load(
    directory: str | Path, settings: dict[str, Any], process: Process, draft: str | Path | None,
    calibration: list[list[int]] | None = None,
) -> Loaded:  # fmt: skip
    """Load the target with all facets applied, and the draft, if any, with the facets configured for it.

    Args:
        directory: the target's checkpoint.
        settings: the technique's resolved facets.
        process: device, dtype and rank of this process.
        draft: the draft model's checkpoint, if the technique has one.
        calibration: token ids of training rows, for a facet whose ``calibration_rows`` asks for some.

    Raises:
        UnsupportedError: this machine or its libraries can't do it.
        StudyError: a checkpoint is not usable.
    """
    with without_compiler():
        loaded = _load_one(directory, settings, process, calibration)
        if draft is not None:
            loaded.companion = _load_draft(draft, settings, process)
            loaded.draft = loaded.companion.model
    return loaded


def _load_one(
    directory: str | Path, settings: dict[str, Any], process: Process, calibration: list[list[int]] | None = None
) -> Loaded:
    """A model with every facet of the settings applied."""
    facets = used_facets(settings)
    notes: dict[str, Any] = {}
    model = _load_model(directory, facets, settings, process, notes, calibration)
    loaded = Loaded(model=model, process=process, facets=settings, notes=notes)
    for facet, value in facets:
        facet.after_load(value, loaded)
    loaded.model.eval().requires_grad_(False)
    return loaded


def _load_draft(directory: str | Path, settings: dict[str, Any], process: Process) -> Loaded:
    """Load the draft with its own facets; those of the target do not apply to it."""
    try:
        return _load_one(directory, companion_settings(settings), process)
    except UnsupportedError as error:
        raise UnsupportedError(f"The draft model can't be prepared: {error}") from None


def _load_model(
    directory: str | Path, facets: list[tuple[Facet, Any]], settings: dict[str, Any], process: Process,
    notes: dict[str, Any], calibration: list[list[int]] | None = None,
) -> PreTrainedModel:  # fmt: skip
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(directory), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise StudyError(f"{directory} is no model that transformers can load ({first_line(error)}).") from None
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise StudyError(f"{directory} holds a '{config.model_type}' model, which does not write text; choose another.")
    options: dict[str, Any] = {"dtype": process.dtype}
    place = _place(process)
    packed = notes["packed"] = _packed(Path(directory), config)
    # The unchanged configuration, for the evidence.
    own_config = notes["checkpoint_config"] = _of_dense(copy.deepcopy(config))
    for facet, value in facets:
        facet.check_model(value, config)
        facet.change_config(value, config)
        facet.check_machine(value, place)
        options |= facet.load_options(value, process, settings)
    if "distributed_config" not in options:
        options["device_map"] = {"": str(process.device)}
    _of_dense(config)
    transforms = [(facet, value) for facet, value in facets if facet.transforms_weights]
    model_class = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    source: str | None = str(directory)
    if transforms or packed:
        stored = _read_weights(Path(directory), process.dtype, packed)
        skeleton = _skeleton(model_class, own_config)
        names = notes["stored_names"] = stored_names(stored, skeleton)
        weights = {name: stored[own] for name, own in names.items()}
        del stored  # so that replaced tensors are freed
        layers = linear_layers(skeleton)
        linear = [f"{name}.weight" for name in layers]
        transposed = frozenset(f"{name}.weight" for name, layer in layers.items() if hasattr(layer, "nf"))
        if packed and transposed:
            raise UnsupportedError(
                f"quantised weights of a '{own_config.model_type}' model, stored [in, out], are not read."
            )
        _refuse_missing(directory, set(linear) - set(weights))
        checkpoint = Checkpoint(
            weights=weights, linear=linear, config=own_config, model_class=model_class, process=process,
            calibration=calibration,
            read=lambda name: _read_weight(Path(directory), process.dtype, names[name], packed),
            transposed=transposed,
            stacked_weights=stacked_weights(skeleton),
        )  # fmt: skip
        for facet, value in transforms:
            facet.transform_weights(value, checkpoint, notes)
            notes["packed"] = None  # what the checkpoint stores is no longer what the model has
        # Without its directory, a model would lose the end tokens of its generation_config.json.
        source, options = None, options | {"state_dict": weights, "generation_config": _generation_config(directory)}
    try:
        model, report = model_class.from_pretrained(
            source, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True, **options
        )
    except OSError as error:
        if error.errno is not None:
            raise
        raise StudyError(f"{directory} holds no usable weights ({first_line(error)}).") from None
    _refuse_missing(directory, report["missing_keys"])
    return model


def _place(process: Process) -> Place:
    if process.device.type != "cuda":
        return Place(process.device.type)
    import torch

    return Place("cuda", torch.cuda.get_device_capability(process.device))


def _refuse_missing(directory: str | Path, names: set[str]) -> None:
    """Refuse missing weights: transformers would initialise them at random."""
    if names:
        raise StudyError(
            f"{directory} lacks {len(names)} of the model's weights, {min(names)} among them; restore the checkpoint."
        )


def _generation_config(directory: str | Path) -> GenerationConfig | None:
    from transformers import GenerationConfig

    if not (Path(directory) / "generation_config.json").is_file():
        return None
    return GenerationConfig.from_pretrained(str(directory), local_files_only=True)


def _packed(directory: Path, config: PreTrainedConfig) -> PackedTensors | None:
    """What reads the weights of a quantised checkpoint as dense ones; None where they are dense."""
    form = forms.of_config(config, str(directory / "config.json"))
    if form is None:
        return None
    from scripts.models.packed.tensors import PackedTensors

    return PackedTensors(directory, form)


def _of_dense(config: PreTrainedConfig) -> PreTrainedConfig:
    """Make a configuration that of a model of dense weights, as quantised ones are once they are read."""
    for name in forms.KEYS:
        if getattr(config, name, None) is not None:
            delattr(config, name)
    return config


def _read_weights(directory: Path, dtype: torch.dtype, packed: PackedTensors | None) -> dict[str, torch.Tensor]:
    if packed is not None:
        return {name: packed.read(name, dtype) for name in packed.names}
    from safetensors import safe_open

    weights = {}
    for file in weight_files(directory):
        with safe_open(file, framework="pt") as reader:
            for name in reader.keys():  # noqa: SIM118 - not a dict
                weights[name] = _cast(reader.get_tensor(name), dtype)
    return weights


def _read_weight(directory: Path, dtype: torch.dtype, name: str, packed: PackedTensors | None) -> torch.Tensor:
    if packed is not None:
        return packed.read(name, dtype)
    from safetensors import safe_open

    # The last file that has it, as where all are read.
    for file in reversed(weight_files(directory)):
        with safe_open(file, framework="pt") as reader:
            if name in reader.keys():  # noqa: SIM118 - not a dict
                return _cast(reader.get_tensor(name), dtype)
    raise KeyError(name)


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _skeleton(model_class: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    """The model on the meta device, for the names of its modules."""
    import torch

    with torch.device("meta"):
        return model_class(config)
