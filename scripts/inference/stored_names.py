"""Maps a checkpoint's tensor names to the model's, by the rules of transformers' loader.

A checkpoint saved from the base model alone, such as GPT-2's, lacks the prefix of the base model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def stored_names(stored: Iterable[str], model: PreTrainedModel) -> dict[str, str]:
    """Stored name by model name; tensors unknown to the model keep their name.

    Args:
        stored: names in the checkpoint's files.
        model: the model, which may be on the meta device.
    """
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightRenaming, dot_natural_key, rename_source_key

    places, prefix = model.state_dict(), model.base_model_prefix
    renamings = [each for each in get_model_conversion_mapping(model) if isinstance(each, WeightRenaming)]
    names = {}
    for name in sorted(stored, key=dot_natural_key):
        renamed, _ = rename_source_key(name, renamings, [], prefix, places)
        if renamed not in places:
            renamed, _ = rename_source_key(name, [], [], prefix, places)
        names[renamed if renamed in places else name] = name
    return names
