"""What each technique is, in two sentences a facet: true of it wherever it is used, not of this study alone."""

from typing import Any

from scripts.report import rows, words

NO_CACHE = (
    "Without a KV cache, every new token passes the whole text so far through the model again.",
    "The work of a step grows with the text; it is the plainest way to generate, and the slowest for long texts.",
)
CACHE = (
    "A KV cache keeps the attention keys and values of past tokens, so that a step passes one new token through "
    "the model.",
    "It trades memory, which grows with the text and with the batch, for operations, and gives the same tokens.",
)
STATIC_CACHE = (
    "A static KV cache is reserved in full before the first token, so that every step has the same shapes.",
    "That allows a step to be compiled or recorded once; the memory is held whether the text fills it or not.",
)
PRUNING = {
    "magnitude": (
        "Magnitude pruning sets the weights of smallest absolute value to zero.",
        "Stored as dense tensors, zeros take the memory and the time of any other number; only sparse kernels "
        "would gain.",
    ),
    "wanda": (
        "Wanda (Sun et al., 2024) sets weights to zero by absolute value times the norm of their inputs on "
        "calibration text.",
        "It removes what matters less for real inputs, without training; in dense tensors the zeros gain neither "
        "memory nor time.",
    ),
    "structured": (
        "Structured pruning cuts whole feed-forward channels out of every layer, so that the tensors themselves "
        "shrink.",
        "Bytes and operations fall for any kernel; it damages more than single zeros do where nothing is trained "
        "afterwards.",
    ),
}
QUANTIZATION = {
    "int8": (
        "LLM.int8() (Dettmers et al., 2022) stores the weights of linear layers in 8 bits and multiplies outlier "
        "features in 16 bits.",
        "It takes a quarter of the bytes of 32-bit weights, half of 16-bit ones; the split for outliers costs time.",
    ),
    "nf4": (
        "NF4 (Dettmers et al., 2023) stores the weights of linear layers as 4-bit numbers in blocks that share a "
        "scale.",
        "Weights are unpacked for every product: fewer bytes are read, and more is computed.",
    ),
    "int8_weight_only": (
        "8-bit weight-only quantisation stores the weights of linear layers as 8-bit integers with a scale a row, and "
        "multiplies in the model's own dtype.",
        "A row that is decoded alone waits for the weights to be read, so that fewer bytes are less time; where many "
        "rows share a pass, arithmetic is what takes the time, and nothing is gained.",
    ),
    "int4_weight_only": (
        "4-bit weight-only quantisation stores the weights of linear layers as 4-bit integers with a scale and a "
        "minimum for 64 columns, rounded to nearest (the baseline of GPTQ; Frantar et al., 2023).",
        "It reads the fewest bytes and rounds the most: the products gain where bandwidth bounds them, and the text "
        "may lose.",
    ),
    "fp8": (
        "FP8 weights (Micikevicius et al., 2022) are 8-bit floating-point numbers with a scale a row.",
        "They take the bytes of 8-bit integers, and a GPU that knows the type multiplies long prompts and large "
        "batches in it; single rows are multiplied in the model's own dtype.",
    ),
}
SHORT_QUANTIZATION = {
    "int8": "8-bit weights",
    "nf4": "4-bit weights",
    "int8_weight_only": "8-bit weights",
    "int4_weight_only": "4-bit weights",
    "fp8": "FP8 weights",
}
TENSOR = (
    "Tensor parallelism (Shoeybi et al., 2019) splits every linear layer over several devices, which each "
    "compute a part of every token.",
    "Each holds a share of the weights, and they exchange results within every layer, so it pays where the links "
    "are fast and the layers large.",
)
PIPELINE = (
    "Pipeline parallelism (Huang et al., 2019) gives each device a run of layers; here one micro-batch is in "
    "flight, which is layer sharding: the devices take turns.",
    "It lets a model run that no single device can hold; it does not make a request faster.",
)
FULL_PIPELINE = (
    "Pipeline parallelism (Huang et al., 2019) gives each device a run of layers; a batch goes through them in "
    "micro-batches, so that each device works on another one.",
    "It serves more requests a second from a model that no single device need hold; it makes none of them faster.",
)
SPECULATION = (
    "Speculative decoding (Leviathan et al., 2023) lets a small model draft some tokens, which the target "
    "verifies in one pass; under greedy decoding the text is the target's.",
    "It pays where drafts are often accepted and cheap beside a pass of the target.",
)
FORCED = (
    "A small model drafts some tokens, which the target reads in one pass; how many are accepted is settled by a draw "
    "at a given rate, since random weights agree on nothing.",
    "Speculative decoding (Leviathan et al., 2023) would be as fast at that acceptance; what is written means nothing.",
)
DRAFT_STORED = "The draft's linear layers hold {}, so that drafting reads fewer bytes"
DRAFT_JUDGED = "; it may be accepted less often, and the text is the target's all the same"
LOOKUP = (
    "Prompt lookup (Saxena, 2023) proposes the tokens that followed the last ones where these occurred in the "
    "prompt; the target verifies them in one pass.",
    "Proposals need no second model, and are accepted where the text copies from its prompt.",
)
BATCH = (
    "In a batch, several requests share each pass through the weights.",
    "More requests a second are served, while each waits for the slowest of its batch, and the KV cache grows "
    "with the batch.",
)
WAITING = (
    "The requests of a batch are handed over together and wait for one of the engine's slots.",
    "The more there are, the longer the slots stay full, and the longer a request waits for its turn.",
)
ENGINE = {
    "transformers_static": (
        "transformers' generate keeps a KV cache of fixed size, which lets it compile the forward on a GPU.",
        "Every step then has the same shapes; the memory is held whether the text fills it or not.",
    ),
    "transformers_continuous": (
        "Continuous batching (Yu et al., 2022), as transformers has it: a few requests are under way in slots, and the "
        "next one of those handed over takes the place of one that has ended at once, where a static batch computes "
        "ended rows until its last request is done.",
        "The slots stay full while requests wait, so that more are served a second; a request's latency and its first "
        "token include its wait for a slot, and every pass is put together anew.",
    ),
    "graph": (
        "The project's decode loop runs the model's weights in a few fused operations a layer over a KV cache of "
        "fixed size; on a GPU each step is recorded once as a CUDA graph and started again by one call.",
        "The device then never waits for Python, which is what bounds small models; tokens reach the host while the "
        "next step runs.",
    ),
}
SHORT_ENGINE = {
    "transformers_static": "static cache",
    "transformers_continuous": "continuous batching",
    "graph": "graph engine",
}
MODEL = (
    "Another model answers the same prompts.",
    "More parameters mean more bytes and operations a token, and usually better text.",
)
TARGET = (
    "The large model writes alone.",
    "It is what a technique that drafts for it has to be compared with, since both give the same text.",
)
PROMPT = (
    "The prompts are cut or repeated to one length.",
    "This shows what reading a longer prompt costs; such prompts ask for no headline, so quality is not measured.",
)
ROOT = "It is the reference that the other techniques differ from."


def what(technique: dict[str, Any], comparison: dict[str, Any]) -> list[str]:
    """Return what a technique is: two sentences for each facet by which it differs, then what it keeps of others."""
    settings = technique["settings"] or {}
    changed = list(technique["difference"])
    root = technique["parent"] is None
    if root:
        changed = [facet for facet in changed if facet not in ("model", "prompt_tokens")]
    told, unknown = [], []
    for facet in changed:
        sentences = facet_sentences(facet, settings, _verified(technique, comparison))
        told += sentences
        if not sentences:
            unknown.append(facet)
    if unknown:
        shown = rows.difference_text({facet: technique["difference"][facet] for facet in unknown})
        told.append(f"It sets {shown}." if not root else words.sentence(f"Its settings are {shown}"))
    if root:
        return [*told, ROOT]
    kept = [name for facet in settings if facet not in technique["difference"] and (name := _short(facet, settings))]
    return [*told, f"It keeps its parent's {words.listed(kept)}."] if kept else told


def facet_sentences(facet: str, settings: dict[str, Any], verified: bool = False) -> list[str]:
    """Return the two sentences of a facet, and one more of a draft in fewer bits; none where it is off or not known.

    Args:
        facet: its name.
        settings: all settings of the technique.
        verified: whether other techniques draft for this one's model.
    """
    value = settings.get(facet)
    options = value if isinstance(value, dict) else {}
    method = options.get("method", value if isinstance(value, str) else "")
    found: tuple[str, ...] = ()
    if facet == "kv_cache":
        found = {"none": NO_CACHE, "dynamic": CACHE, "static": STATIC_CACHE}.get(value or "none", ())
    elif facet == "pruning" and value:
        found = PRUNING.get(method or "magnitude", ())
    elif facet == "quantization":
        found = QUANTIZATION.get(method, ())
    elif facet == "parallel":
        stages = FULL_PIPELINE if _fills_pipeline(settings) else PIPELINE
        found = stages if (options.get("pipeline") or 1) > 1 else TENSOR if (options.get("tensor") or 1) > 1 else ()
    elif facet == "speculation" and options:
        found = _speculation_sentences(options)
    elif facet == "batch_size":
        shared = WAITING if _engine(settings) == "transformers_continuous" else BATCH
        found = shared if value and value > 1 else ()
    elif facet == "engine":
        found = ENGINE.get(options.get("name", ""), ())
    elif facet == "model":
        found = TARGET if verified else MODEL
    elif facet == "prompt_tokens" and value:
        found = PROMPT
    return list(found)


def _speculation_sentences(options: dict[str, Any]) -> tuple[str, ...]:
    """Return the sentences of speculation, and one more of a draft that is stored in fewer bits."""
    if options.get("prompt_lookup"):
        return LOOKUP
    forced = "forced_acceptance" in options
    found = FORCED if forced else SPECULATION
    stored = _draft_weights(options)
    return (*found, f"{DRAFT_STORED.format(stored)}{'' if forced else DRAFT_JUDGED}.") if stored else found


def _draft_weights(options: dict[str, Any]) -> str:
    """Return the form of a draft's weights; empty where it is the model's own."""
    method = (options.get("draft_quantization") or {}).get("method")
    return SHORT_QUANTIZATION.get(method, "quantised weights") if method else ""


def _fills_pipeline(settings: dict[str, Any]) -> bool:
    """Return whether a pipeline's batches are cut into micro-batches, as the project's own loop does."""
    return _engine(settings) == "graph" and (settings.get("batch_size") or 1) > 1


def _engine(settings: dict[str, Any]) -> str | None:
    """Return the name of the technique's engine, if it has one of its own."""
    engine = settings.get("engine")
    return engine.get("name") if isinstance(engine, dict) else engine


def _verified(technique: dict[str, Any], comparison: dict[str, Any]) -> bool:
    """Return whether other techniques speculate for this one, as its children."""
    return any(
        entry["parent"] == technique["name"] and "speculation" in entry["difference"]
        for entry in comparison["techniques"]
    )


def _short(facet: str, settings: dict[str, Any]) -> str:
    """Return the name of a facet that is on; the model and a dynamic cache go without saying."""
    value = settings.get(facet)
    options = value if isinstance(value, dict) else {}
    method = options.get("method", value)
    if not value or value == "none" or facet in ("model", "kv_cache", "prompt_tokens"):
        return ""
    if facet == "quantization":
        return SHORT_QUANTIZATION.get(str(method), "quantisation")
    if facet == "pruning":
        return "pruning"
    if facet == "parallel":
        stages = "pipeline parallelism" if _fills_pipeline(settings) else "layer sharding"
        return stages if (options.get("pipeline") or 1) > 1 else "tensor parallelism"
    if facet == "speculation":
        stored = _draft_weights(options)
        drafted = f"speculation by a draft of {stored}" if stored else "speculation"
        return "prompt lookup" if options.get("prompt_lookup") else drafted
    if facet == "engine":
        return SHORT_ENGINE.get(options.get("name", ""), "engine")
    if facet == "batch_size":
        return f"batches of {value}" if value != 1 else ""
    return rows.difference_text({facet: value})
