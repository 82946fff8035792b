"""A text model in a local folder, as the scores that run one load it: safetensors only, no code of its own, on the CPU.

torch and transformers are imported late.
"""

from pathlib import Path
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.models.stored_files import weight_files

LONGEST = 512  # tokens; a headline is far shorter, and a model that rambled is cut here


def load(directory: Path) -> tuple[Any, Any]:
    """Return model, in float32 and for inference, and tokenizer, which pads on the right.

    Raises:
        StudyError: the folder holds no model that can be loaded like this.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    if not (directory / "config.json").is_file():
        raise StudyError(f"{directory} holds no model (config.json is missing); name the folder of a text model.")
    if not weight_files(directory):
        raise StudyError(f"{directory} has no weights as safetensors; convert the model, as nothing else is loaded.")
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, **local)
        model = AutoModel.from_pretrained(directory, use_safetensors=True, dtype=torch.float32, **local)
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(
            f"{directory} can't be loaded as a text model ({error}); name the folder of another."
        ) from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return model.eval(), tokenizer


def room(model: Any) -> int:
    """Tokens that the model can read; some families leave two positions to padding."""
    return min(LONGEST, max(1, (getattr(model.config, "max_position_embeddings", None) or LONGEST) - 2))
