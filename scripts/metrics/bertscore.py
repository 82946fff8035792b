"""BERTScore: how well the tokens of two texts match by their contextual embeddings (Zhang et al., 2020).

Each token of one text is matched with the token of the other whose embedding has the greatest cosine to its own. The
mean over the headline's tokens is the precision, over the reference's the recall. As in the authors' own program,
tokens that the tokenizer puts around a text (such as [CLS] and [SEP]) have no weight in the means but may be matched,
and values are not rescaled. Own code, since bert_score 0.3.13 fails with transformers 5 and torchmetrics 1.9 scores
texts of unequal lengths against each other's references.
"""

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.metrics import text_model

if TYPE_CHECKING:
    import torch

BATCH = 32
DEPTH = 0.75
"""Of the layers, the one that is read by default: near the best of most models that the authors tuned it for."""
# The authors' program has these tokenizers read the first word as one inside of a text, with a space before it.
SPACED = ("Roberta", "GPT2")
NAMES = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
"""What configurations of text models call the number of their layers."""

Weights = dict[int, float]


def f1(
    headlines: list[str], references: list[str], directory: Path, layer: int | None, idf: bool, label: str
) -> list[float]:
    """Return the F1 score of each headline against its reference, at most 1; that of an empty text is 0.

    Args:
        headlines: the texts to score.
        references: as many texts.
        directory: a folder that ``AutoModel`` and ``AutoTokenizer`` load.
        layer: whose output is the embedding, from 1; None for :func:`default_layer`.
        idf: weight tokens by how few of the references have them.
        label: what the progress bar says.

    Raises:
        StudyError: the folder holds no text model, or one of fewer layers.
    """
    import torch
    from tqdm import tqdm

    model, tokenizer = text_model.load(directory)
    encoder = _Encoder(model, tokenizer, checked_layer(layer, model.config.num_hidden_layers, directory))
    weights = encoder.idf(references) if idf else None
    result = [0.0] * len(headlines)
    pairs = zip(headlines, references, strict=True)
    wanted = [at for at, (ours, theirs) in enumerate(pairs) if ours.strip() and theirs.strip()]
    with torch.inference_mode(), tqdm(total=len(wanted), desc=label, unit="sample", mininterval=1.0) as bar:
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            ours, theirs = (encoder.encode([texts[at] for at in batch], weights) for texts in (headlines, references))
            for at, value in zip(batch, _f1(ours, theirs).tolist(), strict=True):
                result[at] = value
            bar.update(len(batch))
    return result


def default_layer(layers: int) -> int:
    """The layer that is read of a model with so many."""
    return max(1, int(DEPTH * layers))


def checked_layer(layer: int | None, layers: int, model: Path | str) -> int:
    """Return the layer that is read of a model with so many.

    Raises:
        StudyError: the model has fewer layers.
    """
    if layer is not None and layer > layers:
        raise StudyError(
            f"quality.bertscore.layer is {layer}, and {model} has {layers} layers; lower it, or set it to null, which "
            f"is layer {default_layer(layers)}."
        )
    return layer or default_layer(layers)


def layers_of(content: dict[str, Any]) -> int | None:
    """Return how many layers the content of a config.json says that a text model has; None where it does not."""
    return next((content[name] for name in NAMES if type(content.get(name)) is int), None)


def described(directory: Path, layer: int | None, idf: bool) -> dict[str, Any]:
    """Return what a report says of the embeddings: the layer, and whether tokens are weighted."""
    layers = layers_of(files.read_json(directory / "config.json"))
    said = {"layer": f"layer {checked_layer(layer, layers, directory)} of {layers}"} if layers else {}
    return said | ({"weights": "idf weights"} if idf else {})


class _Encoder:
    """Token embeddings by one layer of a model."""

    def __init__(self, model: Any, tokenizer: Any, layer: int) -> None:
        self._model, self._tokenizer, self._layer = model, tokenizer, layer
        self._lead = " " if type(tokenizer).__name__.startswith(SPACED) else ""

    def idf(self, references: list[str]) -> Weights:
        """Inverse document frequency of each token id: log((N + 1) / (n + 1)) where n of N texts have it; -1: n = 0."""
        counted = Counter(token for text in references for token in set(self._tokens([text])["input_ids"][0].tolist()))
        number = len(references)
        return {-1: math.log(number + 1)} | {token: math.log((number + 1) / (n + 1)) for token, n in counted.items()}

    def encode(self, texts: list[str], weights: Weights | None) -> tuple["torch.Tensor", ...]:
        """Return unit embeddings [texts, tokens, width], the mask of tokens, and their weights, [texts, tokens]."""
        import torch

        inputs = self._tokens(texts)
        ids, mask = inputs["input_ids"].long(), inputs["attention_mask"]
        if ids.shape[1] == 0:  # no text has a token, and the tokenizer adds none
            nothing = torch.zeros(len(texts), 1)
            return nothing.unsqueeze(-1), nothing, nothing
        states = self._model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[self._layer]
        counted = (mask * (1 - inputs["special_tokens_mask"])).to(states.dtype)
        if weights is not None:
            counted *= torch.tensor([[weights.get(token, weights[-1]) for token in row] for row in ids.tolist()])
        return torch.nn.functional.normalize(states, dim=-1), mask, counted

    def _tokens(self, texts: list[str]) -> Any:
        return self._tokenizer(
            [self._lead + text.strip() for text in texts], return_tensors="pt", padding=True, truncation=True,
            max_length=text_model.room(self._model), return_special_tokens_mask=True,
        )  # fmt: skip


def _f1(ours: tuple["torch.Tensor", ...], theirs: tuple["torch.Tensor", ...]) -> "torch.Tensor":
    """Return F1 by text, [texts]; 0 where a text has no token that counts."""
    (left, left_mask, left_weights), (right, right_mask, right_weights) = ours, theirs
    both = left_mask.unsqueeze(2) * right_mask.unsqueeze(1)  # [texts, left tokens, right tokens]
    cosines = (left @ right.transpose(1, 2)).masked_fill(both == 0, -1.0)
    precision = (cosines.amax(dim=2) * left_weights).sum(dim=1) / left_weights.sum(dim=1)
    recall = (cosines.amax(dim=1) * right_weights).sum(dim=1) / right_weights.sum(dim=1)
    return (2 * precision * recall / (precision + recall)).nan_to_num(0.0, 0.0, 0.0).clamp(max=1.0)
