"""Similarity in meaning of two texts: the cosine of their pooled hidden states (Reimers and Gurevych, 2019).

The one metric that runs a model; torch and transformers are imported late. The model is read from a local folder: only
safetensors, and no code of its own. It runs on the CPU, so that it takes no GPU from what is timed.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.metrics import encoder_folder
from scripts.models.stored_files import weight_files

if TYPE_CHECKING:
    import torch

BATCH = 32
LONGEST = 512  # tokens; a headline is far shorter, and a model that rambled is cut here

logger = logging.getLogger(__name__)


def similarities(headlines: list[str], references: list[str], directory: Path, label: str) -> list[float]:
    """Return the cosine similarity of each headline to its reference, from -1 to 1.

    Args:
        headlines: the texts to score; an empty one is scored as the empty text.
        references: as many texts.
        directory: a folder that ``AutoModel`` and ``AutoTokenizer`` load; where it is one of sentence-transformers,
            its own pooling, dense layers, length and prompt are used (:mod:`scripts.metrics.encoder_folder`).
        label: what the progress bar says.

    Raises:
        StudyError: the folder holds no model that can be loaded like this.
    """
    import torch
    from tqdm import tqdm

    encoding = encoder_folder.read(directory)
    model, tokenizer = _load(directory)
    pairs = list(zip(headlines, references, strict=True))
    result: list[float] = []
    with torch.inference_mode(), tqdm(total=len(pairs), desc=label, unit="sample", mininterval=1.0) as bar:
        for start in range(0, len(pairs), BATCH):
            batch = pairs[start : start + BATCH]
            ours, theirs = (_embed(list(column), model, tokenizer, encoding) for column in zip(*batch, strict=True))
            # Rounding can put the cosine of two equal texts a little above 1.
            result += (ours * theirs).sum(dim=1).clamp(-1, 1).tolist()
            bar.update(len(batch))
    return result


def _embed(batch: list[str], model: Any, tokenizer: Any, encoding: encoder_folder.Encoding) -> "torch.Tensor":
    """Return the vectors of texts, scaled to length 1, [texts, width]."""
    import torch

    asked = [encoding.prefix + (text.lower() if encoding.lower else text) for text in batch]
    longest = min(room(model), encoding.longest or LONGEST)
    inputs = tokenizer(asked, return_tensors="pt", padding=True, truncation=True, max_length=longest)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    if ids.shape[1] == 0:  # nothing but empty texts, and a tokenizer that adds nothing to them
        states = torch.zeros(len(batch), 1, model.config.hidden_size)
        mask = torch.zeros(len(batch), 1, dtype=torch.long)
    else:
        states = model(input_ids=ids.long(), attention_mask=mask).last_hidden_state
    pooled = encoder_folder.dense(encoder_folder.pool(states, mask, encoding.pooling), encoding.dense)
    return torch.nn.functional.normalize(pooled, dim=1)


def room(model: Any) -> int:
    """Tokens that the model can read; some families leave two positions to padding."""
    return min(LONGEST, max(1, (getattr(model.config, "max_position_embeddings", None) or LONGEST) - 2))


def _load(directory: Path) -> tuple[Any, Any]:
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
