"""How a sentence encoder's folder asks for its texts to be encoded: the form of the sentence-transformers library.

``modules.json`` lists what comes behind the model: pooling of the tokens' states, dense layers, scaling to length 1. A
folder without it is a plain text model, whose states are averaged.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError

if TYPE_CHECKING:
    import torch

MODULES = "modules.json"
MEAN = "mean_tokens"
POOLING = "pooling_mode_"
SHORT = {"mean": MEAN, "cls": "cls_token", "max": "max_tokens", "lasttoken": "lasttoken",
         "mean_sqrt_len_tokens": "mean_sqrt_len_tokens"}  # fmt: skip
KNOWN = ("cls_token", "max_tokens", MEAN, "mean_sqrt_len_tokens", "lasttoken")
"""In the order in which several are joined, which is sentence-transformers'."""
ACTIVATIONS = {"Tanh": "tanh", "Identity": None}


@dataclass(frozen=True)
class Encoding:
    """What is done with texts and states.

    Attributes:
        pooling: ways of pooling, joined where there are several.
        dense: folders of dense layers behind it, each with the name of its activation or None.
        longest: tokens of a text that are read; None where the folder does not say.
        lower: whether texts are brought to lower case.
        prefix: what stands before every text.
    """

    pooling: tuple[str, ...] = (MEAN,)
    dense: tuple[tuple[Path, str | None], ...] = ()
    longest: int | None = None
    lower: bool = False
    prefix: str = ""


def read(directory: Path) -> Encoding:
    """Read a folder's own way of encoding.

    Raises:
        StudyError: it asks for a module or a pooling that is not known here.
    """
    if not (directory / MODULES).is_file():
        return Encoding()
    modules = files.read_json(directory / MODULES)
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise StudyError(f"{directory / MODULES} holds no list of modules; restore it.")
    pooling, dense = (MEAN,), []
    for module in modules:
        kind, place = str(module.get("type", "")).rpartition(".")[2], _place(directory, module)
        if kind == "Normalize" or (kind == "Transformer" and place == directory):
            continue
        if kind == "Pooling":
            pooling = _pooling(_object(place / "config.json"), place)
        elif kind == "Dense":
            dense.append((place, _activation(_object(place / "config.json"), place)))
        else:
            raise StudyError(
                f"{directory / MODULES} asks for {kind[:60]!r} in {str(module.get('path', ''))[:60]!r}, and only a "
                "transformer in the folder itself, Pooling, Dense and Normalize are known; choose another encoder."
            )
    asked, own = (_object(directory / name, absent=True)
                  for name in ("sentence_bert_config.json", "config_sentence_transformers.json"))  # fmt: skip
    longest = asked.get("max_seq_length")
    prompts = own.get("prompts")
    prefix = prompts.get(own.get("default_prompt_name") or "") if isinstance(prompts, dict) else None
    return Encoding(
        pooling, tuple(dense), longest if type(longest) is int and longest > 0 else None,
        bool(asked.get("do_lower_case")), prefix if isinstance(prefix, str) else "",
    )  # fmt: skip


def pool(states: "torch.Tensor", mask: "torch.Tensor", ways: tuple[str, ...]) -> "torch.Tensor":
    """Pool the states of the tokens that count.

    Args:
        states: last hidden states, [texts, tokens, width].
        mask: attention mask, [texts, tokens], padding on the right; a text without tokens gives zeros.
        ways: of :data:`KNOWN`.

    Returns:
        [texts, width times ways].
    """
    import torch

    counted = mask.unsqueeze(-1).to(states.dtype)
    number = counted.sum(dim=1)  # [texts, 1]
    sums = (states * counted).sum(dim=1)
    last = (mask.sum(dim=1) - 1).clamp(min=0)
    found = {
        "cls_token": lambda: states[:, 0] * counted[:, 0],
        "max_tokens": lambda: states.masked_fill(counted == 0, -torch.inf).amax(dim=1).nan_to_num(neginf=0.0),
        MEAN: lambda: sums / number.clamp(min=1),
        "mean_sqrt_len_tokens": lambda: sums / number.clamp(min=1).sqrt(),
        "lasttoken": lambda: states[torch.arange(len(states)), last] * counted[torch.arange(len(states)), last],
    }
    return torch.cat([found[way]() for way in KNOWN if way in ways], dim=1)


def dense(pooled: "torch.Tensor", layers: tuple[tuple[Path, str | None], ...]) -> "torch.Tensor":
    """Apply dense layers to what was pooled, [texts, width]."""
    import torch
    from safetensors.torch import load_file

    for place, activation in layers:
        stored = {key: value.float() for key, value in load_file(place / "model.safetensors").items()}
        pooled = torch.nn.functional.linear(pooled, stored["linear.weight"], stored.get("linear.bias"))
        pooled = getattr(torch, activation)(pooled) if activation else pooled
    return pooled


def _place(directory: Path, module: dict[str, Any]) -> Path:
    place = (directory / str(module.get("path") or "")).resolve()
    if not place.is_relative_to(directory.resolve()):
        raise StudyError(f"{directory / MODULES} names a folder outside of it; restore it.")
    return directory if place == directory.resolve() else place


def _pooling(config: dict[str, Any], place: Path) -> tuple[str, ...]:
    ways = [key.removeprefix(POOLING) for key, on in config.items() if key.startswith(POOLING) and on is True]
    named = config.get("pooling_mode")
    for name in [named] if isinstance(named, str) else named if isinstance(named, list) else []:
        ways.append(SHORT.get(str(name), str(name)))
    strange = [way for way in ways if way not in KNOWN]
    if strange or not ways or config.get("include_prompt") is False:
        what = (
            f"the pooling {strange[0][:60]!r}"
            if strange
            else "no pooling"
            if not ways
            else "pooling without the prompt"
        )
        raise StudyError(f"{place / 'config.json'} asks for {what}; known are {', '.join(KNOWN)}.")
    return tuple(ways)


def _activation(config: dict[str, Any], place: Path) -> str | None:
    name = str(config.get("activation_function", "")).rpartition(".")[2].removesuffix("()")
    if name not in ACTIVATIONS or not (place / "model.safetensors").is_file():
        raise StudyError(
            f"{place} is a dense layer with the activation {name[:60]!r}; known are {', '.join(ACTIVATIONS)}, with "
            "weights as model.safetensors."
        )
    return ACTIVATIONS[name]


def _object(path: Path, absent: bool = False) -> dict[str, Any]:
    if absent and not path.is_file():
        return {}
    found = files.read_json(path)
    if not isinstance(found, dict):
        raise StudyError(f"{path} holds no JSON object; restore it.")
    return found
