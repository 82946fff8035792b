"""How a technique differs from its parent: the mechanism of each facet, and the work that it saves or adds.

Work is computed from shapes, or counted; the mechanism itself is what the facet's evidence shows to be on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scripts.report import columns, numbers, rows, words

Technique = dict[str, Any]
Parent = dict[str, Any] | None
FASTER, NEITHER, SLOWER = 1, 0, -1


@dataclass(frozen=True)
class Mechanism:
    """What a facet does: ``text`` begins a sentence, ``work`` follows a colon, ``expected`` is the effect on speed."""

    text: str
    work: str = ""
    expected: int = NEITHER


def mechanism(technique: Technique, parent: Parent, comparison: dict[str, Any]) -> Mechanism:
    """Return how a technique differs from its parent: the mechanism of its facet, or the difference of settings."""
    changed = [key for key in technique["difference"] if key in FACETS or parent is not None]
    if parent is None:
        return _kv_cache(technique, None, comparison) if "kv_cache" in changed else Mechanism("It has no parent")
    if len(changed) == 1 and changed[0] in FACETS:
        return FACETS[changed[0]](technique, parent, comparison)
    difference = rows.difference_text(technique["difference"])
    if not difference:
        return Mechanism(f"Its settings are those of {parent['label']}", _work(technique, parent))
    verb = "changes several settings at once, so that none can be credited" if len(changed) > 1 else "sets"
    text = f"It {verb} ({difference})" if len(changed) > 1 else f"It {verb} {difference}"
    return Mechanism(text, _work(technique, parent))


def _kv_cache(technique: Technique, parent: Parent, comparison: dict[str, Any]) -> Mechanism:
    own, other = (((entry or {}).get("settings") or {}).get("kv_cache") for entry in (technique, parent))
    fewer = words.ratio(technique, parent, "flops_per_token")
    work = words.as_many(fewer, "operations a token") if fewer else ""
    if own in (None, "none"):
        if parent is None:
            operations = words.value(technique, "flops_per_token")
            shown = f"{words.amount(operations, columns.OPERATIONS)} a token" if operations else ""
            return Mechanism("It computes every past token anew at each step, without a KV cache", shown, SLOWER)
        where = f"where {parent['label']} reads its KV cache" if other not in (None, "none") else "at each step"
        return Mechanism(f"It computes every past token anew {where}", work, SLOWER)
    if parent is None:
        return Mechanism("It reads past tokens from its KV cache")
    if other in (None, "none"):
        return Mechanism(f"It reads its KV cache where {parent['label']} computes every past token anew", work, FASTER)
    return Mechanism(f"It keeps its KV cache as {own}, where that of {parent['label']} is {other}")


BITS = {"int8": "8 bits", "nf4": "4 bits", "int8_weight_only": "8 bits", "int4_weight_only": "4 bits", "fp8": "8 bits"}


def _quantization(technique: Technique, parent: Parent, comparison: dict[str, Any]) -> Mechanism:
    setting = technique["settings"].get("quantization")
    method = setting.get("method") if isinstance(setting, dict) else setting
    bits = BITS.get(str(method))
    if not setting:
        return Mechanism("Its weights are not quantised", _bytes(technique, parent))
    text = f"Its linear layers' weights take {bits} each" if bits else f"Its weights are quantised ({method})"
    return Mechanism(text, _bytes(technique, parent), _expected(technique, parent, "bytes_per_token"))


def _pruning(technique: Technique, parent: Parent, comparison: dict[str, Any]) -> Mechanism:
    setting = technique["settings"].get("pruning")
    setting = setting if isinstance(setting, dict) else {}
    if setting.get("method") == "structured":
        text = "Feed-forward channels are cut out of it, so that its tensors shrink"
        return Mechanism(text, _work(technique, parent), _expected(technique, parent, "bytes_per_token"))
    share = ((technique.get("evidence") or {}).get("pruning") or {}).get("sparsity", setting.get("amount"))
    share = f"{numbers.share(share)} of its linear layers' weights" if share is not None else "its pruned weights"
    text = f"{share} are zeros, which are stored and multiplied like any others"
    return Mechanism(text, _bytes(technique, parent))


def _model(technique: Technique, parent: Parent, comparison: dict[str, Any]) -> Mechanism:
    text = f"It runs the model “{technique['settings'].get('model')}” in its place"
    return Mechanism(text, _work(technique, parent), _expected(technique, parent, "bytes_per_token"))


def _parallel(technique: Technique, parent: Parent, comparison: dict[str, Any]) -> Mechanism:
    setting = technique["settings"].get("parallel") or {}
    tensor, pipeline = setting.get("tensor") or 1, setting.get("pipeline") or 1
    ranks = ((technique.get("evidence") or {}).get("parallel") or {}).get("ranks") or [{}]
    if pipeline > 1:
        in_flight = ranks[0].get("micro_batches_in_flight") or 0
        tail = ", which take turns on one micro-batch" if in_flight == 1 else ""
        if in_flight > 1:
            text = f"Its layers lie on {pipeline} devices, which work on {in_flight} micro-batches at the same time"
            return Mechanism(text, _scaling(technique, parent), FASTER)
        return Mechanism(f"Its layers lie on {pipeline} devices{tail}", "it saves memory a device and no work")
    if tensor > 1:
        calls = sum((ranks[0].get("collectives") or {}).values())
        share = ranks[0].get("communication_share")
        work = f"rank 0 made {calls:,} collective calls in the observed batch" if calls else ""
        work += f", {numbers.share(share)} of a decode step" if calls and share is not None else ""
        work = "; ".join(part for part in (work, _scaling(technique, parent)) if part)
        return Mechanism(f"Each linear layer's weight is split over {tensor} devices", work, FASTER)
    return Mechanism("It runs on one device")


def _scaling(technique: Technique, parent: Parent) -> str:
    """Return samples a second of each device, and the speed-up over the parent by how many times its devices."""
    devices, others = (((entry or {}).get("processes") or 1) for entry in (technique, parent))
    gain = (technique.get("measured_speedup") or {}).get("value")
    rate = words.value(technique, "throughput_samples_per_s")
    if devices <= others or gain is None or rate is None:
        return ""
    efficiency = f"a scaling efficiency of {numbers.share(gain * others / devices)}"
    return f"{numbers.fixed(rate / devices, 1)} samples a second a device, {efficiency}"


def _speculation(technique: Technique, parent: Parent, comparison: dict[str, Any]) -> Mechanism:
    setting = technique["settings"].get("speculation")
    if not isinstance(setting, dict):
        return Mechanism("It does not speculate")
    facts = []
    rate, kept = words.value(technique, "acceptance_rate"), words.value(technique, "accepted_per_round")
    if rate is not None:
        by_a_draw = " by a draw and not by the target" if "forced_acceptance" in setting else ""
        facts.append(f"{numbers.share(rate)} of the judged ones were accepted{by_a_draw}")
    if kept is not None:
        facts.append(f"{numbers.fixed(kept, 1)} a round")
    if setting.get("prompt_lookup"):
        text = f"It copies up to {setting['prompt_lookup']} tokens from the prompt and verifies them in one pass"
        return Mechanism(text, ", ".join(facts), FASTER if kept else NEITHER)
    cost, gain = _modelled(technique, comparison)
    if cost is not None:
        facts.append(f"a draft pass costs {numbers.fixed(cost, 2)} target passes")
    expected = NEITHER if gain is None else FASTER if gain > 1 else SLOWER
    if _drafts(parent):
        # Both gains are over the target alone, which the parent isn't.
        facts.append(_bytes(technique, parent))
        expected = _beside(gain, _modelled(parent or {}, comparison)[1])
    drafter, count = f"“{setting.get('draft')}”{_stored(setting)}", setting.get("tokens") or "some"
    text = f"The model {drafter} drafts {count} tokens a round, which the target verifies in one pass"
    return Mechanism(text, ", ".join(filter(None, facts)), expected)


def _stored(setting: dict[str, Any]) -> str:
    """Return in what form a draft's linear layers are, in commas; empty where that is the model's own."""
    method = (setting.get("draft_quantization") or {}).get("method")
    return f", its linear layers' weights in {BITS.get(method, 'fewer bits')} ({method})," if method else ""


def _drafts(technique: Parent) -> bool:
    """Return whether a draft model proposes tokens."""
    setting = ((technique or {}).get("settings") or {}).get("speculation")
    return isinstance(setting, dict) and bool(setting.get("draft"))


def _modelled(technique: Technique, comparison: dict[str, Any]) -> tuple[float | None, float | None]:
    """Return a draft pass in target passes, and the speed-up over the target alone that this predicts."""
    model = next((r for r in comparison["break_even"] if r["technique"] == technique.get("name")), {})
    cost, gain = ((model.get(key) or {}).get("value") for key in ("cost_ratio", "predicted_speedup"))
    return cost, gain


def _beside(gain: float | None, other: float | None) -> int:
    """Return the effect of one predicted speed-up in place of another; small differences are those of acceptance."""
    if not gain or not other or abs(gain / other - 1) <= words.SAME:
        return NEITHER
    return FASTER if gain > other else SLOWER


def _batch_size(technique: Technique, parent: Parent, comparison: dict[str, Any]) -> Mechanism:
    size, other = ((entry.get("settings") or {}).get("batch_size") or 1 for entry in (technique, parent or {}))
    work = _bytes(technique, parent)
    if size == 1:
        return Mechanism("It serves one request at a time", work, SLOWER if other > 1 else NEITHER)
    engine = (technique.get("settings") or {}).get("engine")
    if isinstance(engine, dict) and engine.get("name") == "transformers_continuous":
        return Mechanism(f"{size} requests are handed over at once and wait for {engine.get('slots')} slots", work)
    text = f"{size} requests share each pass through the weights"
    return Mechanism(text, work, FASTER if size > other else SLOWER if size < other else NEITHER)


def _engine(technique: Technique, parent: Parent, comparison: dict[str, Any]) -> Mechanism:
    setting = technique["settings"].get("engine") or {}
    name = setting.get("name", "transformers") if isinstance(setting, dict) else setting
    facts = (technique.get("evidence") or {}).get("engine") or {}
    if name == "graph":
        graphs, prefix = facts.get("device_graphs"), facts.get("prefix_tokens")
        work = f"{graphs:,} CUDA graphs were recorded before the first timed request" if graphs else ""
        if prefix:
            work += f"{', ' if work else ''}{prefix:,} tokens that all prompts share were read once"
        between = ", without Python between them" if graphs else ""
        text = f"The project's own loop runs it in fewer, fused operations{between}"
        return Mechanism(text, work, FASTER)
    if name == "transformers_static":
        text = "transformers keeps a cache of fixed size" + (
            " and compiles its forward" if facts.get("compiled_graphs") else ""
        )
        return Mechanism(text, "", FASTER if facts.get("compiled_graphs") else NEITHER)
    if name == "transformers_continuous":
        slots, mean = setting.get("slots") or "some", facts.get("mean_sequences_per_step")
        work = f"a step of the observed batch held {numbers.fixed(mean, 1)} of them on average" if mean else ""
        # Its passes are narrower than those of a static batch of all requests, and fewer rows in them are idle.
        text = f"Up to {slots} requests are under way together, and the next one begins as soon as one has ended"
        return Mechanism(text, work)
    return Mechanism("Stock generate runs it", _bytes(technique, parent))


def _prompt_tokens(technique: Technique, parent: Parent, comparison: dict[str, Any]) -> Mechanism:
    return Mechanism(f"Its prompts have {technique['settings'].get('prompt_tokens')} tokens", _work(technique, parent))


FACETS: dict[str, Callable[[Technique, Parent, dict[str, Any]], Mechanism]] = {
    "kv_cache": _kv_cache,
    "quantization": _quantization,
    "pruning": _pruning,
    "model": _model,
    "parallel": _parallel,
    "speculation": _speculation,
    "batch_size": _batch_size,
    "engine": _engine,
    "prompt_tokens": _prompt_tokens,
}


def _bytes(technique: Technique, parent: Parent) -> str:
    known = words.ratio(technique, parent, "bytes_per_token")
    return words.as_many(known, "bytes a token") if known else ""


def _work(technique: Technique, parent: Parent) -> str:
    """Return bytes and operations a token beside the parent's."""
    known = [
        (found, what)
        for key, what in (("bytes_per_token", "bytes"), ("flops_per_token", "operations"))
        if (found := words.ratio(technique, parent, key))
    ]
    if not known:
        return ""
    if all(abs(found - 1) <= words.SAME for found, _ in known):
        return f"as many {words.listed([what for _, what in known])} a token"
    return f"{words.listed([words.as_many(found, what) for found, what in known])} a token"


def _expected(technique: Technique, parent: Parent, key: str) -> int:
    """Return the effect that less or more work would have if it were all that takes time."""
    found = words.ratio(technique, parent, key)
    if found is None or abs(found - 1) <= words.SAME:
        return NEITHER
    return FASTER if found < 1 else SLOWER
