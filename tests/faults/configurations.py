"""Studies made at random from the schema, right ones and broken ones, and what planning says of them."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import yaml

from scripts.foundation.errors import StudyError
from scripts.report import facet_words
from scripts.study import configuration, layers, references
from scripts.study.plan import Plan, as_text

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = yaml.safe_load((ROOT / "config" / "config.schema.yaml").read_text(encoding="utf-8"))
BUILT_IN = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
NAMES = [*BUILT_IN["techniques"], "small", "large", "mine", "other", "auto", "none"]
WORDS = ["", "a", "Nachrichten: {summary}", "{summary}", "small", "0", "config/config.yaml", "x" * 300]
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, float("nan"), float("inf"), 2**63, 10**30, "", " ", "null", "0",
    "1e5", "\u202eabc", "a\nb", "a\tb", "\x1b[31mred", "${HOME}", "{summary}", "{{ 7*7 }}", "../../etc/passwd", "/",
    "ü" * 5000, "<script>alert(1)</script>", "=1+1", [], {}, [[]], [None], [1, "a"], {"a": {"b": {"c": []}}}, {"": 1},
    {"select": []}, "baseline", "kv_cache", ["baseline", "baseline"], {"name": "graph"}, {"amount": float("nan")},
]  # fmt: skip


def valid(chance: random.Random) -> dict[str, Any]:
    """A study of one to three keys, each with a value that the schema allows; by its meaning it may be wrong."""
    made: dict[str, Any] = {}
    for _ in range(chance.randint(1, 3)):
        top = chance.choice([key for key in SCHEMA["properties"] if key not in ("plugins", "references")])
        made[top] = _merged(made.get(top), _value(SCHEMA["properties"][top], chance, 0))
    return made


def broken(chance: random.Random) -> str:
    """The text of a study in which something was broken: a value, a key, or the text itself."""
    study = valid(chance)
    if chance.random() < 0.4:
        study = _merged(study, {key: copy.deepcopy(BUILT_IN[key]) for key in chance.sample(list(BUILT_IN), 2)})
    for _ in range(chance.randint(1, 3)):
        _break(study, chance)
    text = yaml.safe_dump(study, allow_unicode=True, sort_keys=False, width=1000)
    return _broken_text(text, chance) if chance.random() < 0.4 else text


def said_of(files: list[Path], options: list[str]) -> str | None:
    """Plan a study as the workflow does: None where it can be run, else the sentence.

    Every request of every technique is made, since a fault in one would end the workflow.
    """
    study = None
    try:
        study = layers.read(files, options)
        config = study.config
        techniques = configuration.check(config)
        known = {each.name: each for each in techniques}
        plan = Plan(config, known, references.read(config["references"]), False, tuple(study.left_out))
        facet_words.check([each.settings for each in techniques])
        asked: list[Any] = [plan.on_gpus, plan.dataset_request(), plan.comparison_request()]
        asked += [plan.model_request(name) for name in configuration.models_used(techniques)]
        for each in techniques:
            asked += [
                plan.gpus_needed(each),
                plan.run_request(each, 1),
                plan.run_modules(each),
                plan.priority(each.name, 1),
            ]
        asked += [plan.load_request(each, 1) for each in plan.loaded.values()]
        as_text(asked)
    except StudyError as error:
        return study.explain(error) if study else " ".join(str(error).split("\r"))
    return None


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _merged(old.get(key), value) for key, value in new.items()}
    return new


def _value(schema: dict[str, Any], chance: random.Random, depth: int) -> Any:
    if "$ref" in schema:
        return _value(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], chance, depth)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return _value(chance.choice(schema[choice]), chance, depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return chance.choice(schema["enum"])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = chance.choice(kind) if isinstance(kind, list) else kind
    return _OF_KIND[kind](schema | {"type": kind}, chance, depth)


def _object(schema: dict[str, Any], chance: random.Random, depth: int) -> dict[str, Any]:
    known = schema.get("properties", {})
    names = set(schema.get("required", [])) | set(chance.sample(sorted(known), min(len(known), chance.randint(0, 3))))
    made = {name: _value(known[name], chance, depth + 1) for name in sorted(names) if name in known}
    other = schema.get("additionalProperties")
    if isinstance(other, dict) and depth < 4:
        for _ in range(chance.randint(0, 2)):
            made[chance.choice(NAMES)] = _value(other, chance, depth + 1)
    return made


def _array(schema: dict[str, Any], chance: random.Random, depth: int) -> list[Any]:
    least = schema.get("minItems", 0)
    count = chance.randint(least, min(schema.get("maxItems", least + 3), least + 3))
    return [_value(schema.get("items", {}), chance, depth + 1) for _ in range(count)]


def _number(schema: dict[str, Any], chance: random.Random, _depth: int) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", 10**6))
    near = chance.choice([low, high, low + 1, min(high, low + 8), chance.uniform(low, high)])
    if schema.get("type") == "integer":
        return int(near)
    return near if low < near < high else (low + high) / 2


def _string(schema: dict[str, Any], chance: random.Random, _depth: int) -> str:
    return chance.choice([*WORDS, *NAMES])[: schema.get("maxLength", 10**6)] or "a" * schema.get("minLength", 0)


_OF_KIND = {
    "object": _object, "array": _array, "integer": _number, "number": _number, "string": _string,
    "boolean": lambda _schema, chance, _depth: chance.random() < 0.5, "null": lambda *_: None,
}  # fmt: skip


def _break(study: dict[str, Any], chance: random.Random) -> None:
    """Put something odd in the place of a value, or add, rename or remove a key."""
    places = list(_places(study))
    holder, key = chance.choice(places) if places else (study, "title")
    way = chance.randrange(5)
    if way < 3 or isinstance(holder, list):
        holder[key] = copy.deepcopy(chance.choice(ODD))
    elif way == 3:
        holder[f"{key}{chance.choice('sx_ ')}"] = holder.pop(key)
    else:
        holder[chance.choice(["", "x", "select", 1, 2.5, True, None, "ключ", "a.b", "a b"])] = chance.choice(ODD)


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _broken_text(text: str, chance: random.Random) -> str:
    """Text of which a part was cut out, doubled or replaced."""
    begin = chance.randrange(len(text))
    end = min(len(text), begin + chance.choice([1, 1, 2, 5, 20, 200]))
    put = chance.choice(["", text[begin:end] * 2, "\x00", "\t", ": ", "- ", "&a [*a]",
                         "!!python/object:os.system x", "{", "]", "\ufeff", "\r", "%", "? ", "<<: *b", "---\n", "#",
                         "'", '"', "[" * 3000])  # fmt: skip
    return text[:begin] + put + text[end:]
