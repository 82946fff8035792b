"""Similarity in meaning of two texts: the cosine of their pooled hidden states (Reimers and Gurevych, 2019).

The model runs on the CPU, so that it takes no GPU from what is timed.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.metrics import encoder_folder, text_model

if TYPE_CHECKING:
    import torch

BATCH = 32

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
    model, tokenizer = text_model.load(directory)
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
    longest = min(text_model.room(model), encoding.longest or text_model.LONGEST)
    inputs = tokenizer(asked, return_tensors="pt", padding=True, truncation=True, max_length=longest)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    if ids.shape[1] == 0:  # nothing but empty texts, and a tokenizer that adds nothing to them
        states = torch.zeros(len(batch), 1, model.config.hidden_size)
        mask = torch.zeros(len(batch), 1, dtype=torch.long)
    else:
        states = model(input_ids=ids.long(), attention_mask=mask).last_hidden_state
    pooled = encoder_folder.dense(encoder_folder.pool(states, mask, encoding.pooling), encoding.dense)
    return torch.nn.functional.normalize(pooled, dim=1)
