"""What the report says of facets and methods: every template renders, and what is missing is told."""

from pathlib import Path
from typing import Any

import pytest

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.metrics import figures
from scripts.report import reasons
from scripts.report.facet_words import FASTER, NEITHER, SLOWER, FacetWords, check, find
from scripts.report.facets import mechanism, what
from scripts.study import sources
from scripts.techniques import registry

FOLDER = Path(__file__).parents[3] / "scripts" / "techniques"
DRAFT = {"draft": "small", "tokens": 4}
INT4 = DRAFT | {"draft_quantization": {"method": "int4_weight_only"}}
# Of each facet every method, and what changes its words.
SETTINGS: dict[str, list[Any]] = {
    "kv_cache": ["none", "dynamic", {"dtype": "int8"}, {"dtype": "int4"}, {"dtype": "fp8"}],
    "attention": [None, "eager", "sdpa", "flash_attention_2"],
    "prefix_cache": [None, True],
    "pruning": [
        None, {"method": "magnitude", "amount": 0.3, "scope": "global"},
        {"method": "wanda", "amount": 0.3, "calibration": 8}, {"method": "structured", "amount": 0.3},
    ],
    "quantization": [None, "int8", "nf4", "int8_weight_only", "int4_weight_only", "fp8"],
    "parallel": [None, {"tensor": 2}, {"pipeline": 2}],
    "engine": [None, "transformers_static", "transformers_continuous", "graph", "endpoint",
               {"name": "server", "preset": "vllm"}],
    "speculation": [None, {"draft": "small"}, {"prompt_lookup": 4}, DRAFT | {"draft_quantization": "int4_weight_only"}],
    "batch_size": [None, 8],
    "prompt_tokens": [None, 512],
    "max_new_tokens": [None, 12],
    "stop": [None, "line_break", "end_token", ["###"], ["\n", "###"]],
}  # fmt: skip
EVIDENCE = {
    "pruning": {"sparsity": 0.31},
    "prefix_cache": {"prefix_tokens": 9},
    "kv_cache": {"cache_bytes": 300, "cache_bytes_in_model_dtype": 1000},
    "parallel": {
        "ranks": [{"collectives": {"all_reduce": 12}, "communication_share": 0.2, "micro_batches_in_flight": 2}]
    },
    "engine": {"device_graphs": 12, "prefix_tokens": 9, "compiled_graphs": 3, "mean_sequences_per_step": 6.75,
               "label": "vLLM", "version": "0.26.0", "reserved_tokens": 32768},
}  # fmt: skip
KNOWN = {"flops_per_token": 2e6, "bytes_per_token": 4e6, "throughput_samples_per_s": 88.0, "acceptance_rate": 0.8,
         "accepted_per_round": 2.4}  # fmt: skip


def entry(name: str, settings: dict[str, Any], changed: list[str] = (), **more: Any) -> dict[str, Any]:
    known = more.pop("known", KNOWN)
    return {
        "name": name, "label": name, "parent": "parent", "status": "ok", "processes": 1, "evidence": {},
        "settings": {"kv_cache": "dynamic"} | settings, "difference": {key: settings.get(key) for key in changed},
        "figures": {key: figures.figure(value, "1", 1) for key, value in known.items()},
        "measured_speedup": {"value": 1.4}, "changes": {"parent": {"figures": None}},
    } | more  # fmt: skip


def break_even(**gains: float) -> list[dict[str, Any]]:
    return [
        {"technique": name, "cost_ratio": {"value": 0.12}, "predicted_speedup": {"value": gain}}
        for name, gain in gains.items()
    ]


def compared(*entries: dict[str, Any], **gains: float) -> dict[str, Any]:
    return {"techniques": list(entries), "break_even": break_even(**gains)}


def every_setting() -> list[tuple[str, Any]]:
    of_graph = registry.load_facet("kv_cache").settle({"dtype": "fp8"}, {"engine": {"name": "graph"}})
    return [
        (facet, registry.load_facet(facet).resolve(value)) for facet, values in SETTINGS.items() for value in values
    ] + [("kv_cache", of_graph)]


def test_every_facet_and_every_file_of_words_is_tried_here():
    assert set(SETTINGS) == set(registry.facet_names())
    tried = {place for facet, setting in every_setting() for place in find(facet, setting).places.values()}
    assert set(FOLDER.rglob("words.yaml")) <= tried
    methods = {FOLDER / facet / name for facet in registry.facet_names() for name in registry.method_names(facet)}
    assert {folder / "words.yaml" for folder in methods} <= tried


@pytest.mark.parametrize(("facet", "setting"), [*every_setting(), ("model", "large")])
@pytest.mark.parametrize("evidence", [EVIDENCE, {}, None])
@pytest.mark.parametrize("known", [KNOWN, {}])
def test_every_template_renders_with_and_without_figures(facet, setting, evidence, known):
    for before in [{}, *({facet: value} for name, value in every_setting() if name == facet)]:
        parent = entry("parent", before, known=known)
        own = entry("own", {facet: setting}, [facet], known=known, evidence=evidence)
        words = FacetWords(facet, own, parent, compared(own, parent, own=1.2))
        assert words.say("mechanism")
        assert words.say("label")
        assert words.expected() in (FASTER, NEITHER, SLOWER)
        for key in ("work", "needed", "alone", "alone_work", "kept"):
            words.say(key)
        words.say("contrary", measured=SLOWER)
        assert all(sentence.endswith(".") for sentence in words.summary())


def plugin(tmp_path, monkeypatch, **files: str) -> None:
    for name, text in files.items():
        path = tmp_path.joinpath("scripts", "techniques", *name.split("__"), "words.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path))


WORDS = """
label: sparse attention
summary: [Each token looks at few others.]
mechanism: It looks at {{ setting }} tokens
"""


def test_a_plugins_facet_and_method_have_their_words(tmp_path, monkeypatch):
    plugin(
        tmp_path,
        monkeypatch,
        sparsity=WORDS,
        quantization__ternary="label: ternary weights\nbits: 2 bits\nsummary: []",
    )
    own, parent = entry("own", {"sparsity": 64}, ["sparsity"]), entry("parent", {})
    assert mechanism(own, parent, compared(own, parent)).text == "It looks at 64 tokens"
    assert what(own, compared(own)) == ["Each token looks at few others."]
    off = entry("off", {"sparsity": None}, ["sparsity"])
    assert mechanism(off, own, compared(off, own)).text == "It does without sparse attention"
    stored = entry("stored", {"quantization": {"method": "ternary"}}, ["quantization"])
    assert mechanism(stored, parent, compared(stored)).text == "Its linear layers' weights take 2 bits each"


def test_words_are_in_the_reports_key_and_in_no_runs(tmp_path, monkeypatch):
    plugin(tmp_path, monkeypatch, sparsity=WORDS)
    words = set(sources.digests(files=("scripts/techniques/**/words.yaml",)))
    assert {"plugin:scripts/techniques/sparsity/words.yaml", "scripts/techniques/engine/graph/words.yaml"} <= words
    run = {"kv_cache": "dynamic", "engine": {"name": "graph"}, "quantization": {"method": "int8_weight_only"}}
    assert not words & set(sources.digests("scripts.generate", *registry.code_modules(run)))


@pytest.mark.parametrize(
    ("facet", "setting", "files", "told"),
    [
        ("sparsity", 64, {}, "no words for the facet 'sparsity': scripts/techniques/sparsity/words.yaml is missing"),
        ("quantization", {"method": "ternary"}, {}, "scripts/techniques/quantization/ternary/words.yaml is missing"),
        ("quantization", {"method": "../fp8"}, {}, "no name of a facet"),
        ("sparsity", 64, {"sparsity": "label: a\nsummary: []"}, "has no 'mechanism'"),
        ("sparsity", 64, {"sparsity": "- a"}, "no mapping"),
        ("sparsity", 64, {"sparsity": "a: ["}, "can't be read"),
        ("sparsity", 64, {"sparsity": WORDS.replace("setting", "window")}, "mechanism: 'window' is undefined"),
        ("sparsity", 64, {"sparsity": WORDS + "expected: fast"}, "'fast' is neither faster"),
        ("sparsity", 64, {"sparsity": WORDS + "values: {few: setting.tokens}"}, "values.few: "),
    ],
)  # fmt: skip
def test_words_that_are_missing_or_wrong_are_an_error_that_names_the_file(
    tmp_path, monkeypatch, facet, setting, files, told
):
    plugin(tmp_path, monkeypatch, **files)
    own = entry("own", {facet: setting}, [facet])
    if "missing" in told:
        with pytest.raises(StudyError, match="is missing"):
            check([own["settings"]])
    with pytest.raises(StudyError) as error:
        mechanism(own, entry("parent", {}), compared(own))
    assert told in str(error.value)


def test_values_are_text_and_no_templates():
    own = entry("own", {"model": "{{ 7 * 7 }}<b>"}, ["model"])
    assert mechanism(own, entry("parent", {}), compared(own)).text == "It runs the model “{{ 7 * 7 }}<b>” in its place"


def test_what_a_technique_that_switches_a_facet_off_does_without():
    own = entry("own", {"quantization": None}, ["quantization"])
    parent = entry("parent", {"quantization": {"method": "nf4"}}, known=KNOWN | {"bytes_per_token": 1e6})
    found = mechanism(own, parent, compared(own, parent))
    assert (found.text, found.expected) == ("It does without quantisation", NEITHER)
    assert found.work.startswith("4.0\N{MULTIPLICATION SIGN} the bytes")
    assert what(own, compared(own)) == ["It does without quantisation."]


CONTINUOUS = {"batch_size": 32, "engine": {"name": "transformers_continuous", "slots": 8}}
BATCH = entry("Batches of 32", {"batch_size": 32})


def test_who_shares_a_pass_of_continuous_batching_is_said_with_how_full_it_was():
    evidence = {"engine": {"mean_sequences_per_step": 6.75}}
    found = mechanism(entry("own", CONTINUOUS, ["engine"], evidence=evidence), BATCH, {})
    assert found.text.startswith("Up to 8 requests are under way together, and the next one begins as soon as one")
    assert (found.work, found.expected) == ("a step of the observed batch held 6.8 of them on average", NEITHER)
    assert mechanism(entry("own", CONTINUOUS, ["engine"], evidence={"engine": {}}), BATCH, {}).work == ""


def test_a_wait_for_a_slot_is_part_of_the_latency():
    first, second = what(entry("own", CONTINUOUS, ["engine"]), {})[:2]
    assert "takes the place of one that has ended" in first
    assert "latency and its first token include its wait for a slot" in second


def test_a_batch_of_continuous_batching_waits_and_does_not_share_each_pass():
    own = entry("own", CONTINUOUS, ["batch_size"])
    assert "wait for one of the engine's slots" in what(own, {})[0]
    assert "share each pass" in what(entry("own", {"batch_size": 32}, ["batch_size"]), {})[0]
    assert mechanism(own, BATCH, {}).text == "32 requests are handed over at once and wait for 8 slots"


@pytest.mark.parametrize(("gain", "expected"), [(1.6, FASTER), (1.2, SLOWER), (1.41, NEITHER)])
def test_a_drafts_form_is_said_and_its_gain_is_that_over_the_parents(gain, expected):
    own = entry("int4", {"speculation": INT4}, ["speculation"], known=KNOWN | {"bytes_per_token": 75.0})
    parent = entry("plain", {"speculation": DRAFT}, known=KNOWN | {"bytes_per_token": 100.0})
    found = mechanism(own, parent, compared(int4=gain, plain=1.4))
    assert found.text == (
        "The model “small”, its linear layers' weights in 4 bits (int4_weight_only), drafts 4 tokens a round, which "
        "the target verifies in one pass"
    )
    assert found.work == (
        "80.0% of the judged ones were accepted, 2.4 a round, a draft pass costs 0.12 target passes, "
        "0.75\N{MULTIPLICATION SIGN} the bytes a token"
    )
    assert found.expected == expected
    # Without the parent's prediction nothing is expected.
    assert mechanism(own, parent, compared(int4=gain)).expected == NEITHER


def test_against_the_target_alone_nothing_else_is_said_than_of_any_draft():
    own = entry("plain", {"speculation": DRAFT}, ["speculation"])
    found = mechanism(own, entry("target", {}), compared(plain=1.4))
    assert found.text == "The model “small” drafts 4 tokens a round, which the target verifies in one pass"
    assert found.expected == FASTER
    assert "bytes" not in found.work


@pytest.mark.parametrize("forced", [False, True])
def test_a_third_sentence_tells_what_fewer_bits_change(forced):
    more = {"forced_acceptance": 0.7} if forced else {}
    two, three = (
        what(entry("own", {"speculation": each | more}, ["speculation"]), compared()) for each in (DRAFT, INT4)
    )
    assert three[:2] == two
    assert three[2].startswith("The draft's linear layers hold 4-bit weights, so that drafting reads fewer bytes")
    # A draw accepts as many whatever the draft is.
    assert ("accepted less often" in three[2]) is not forced


def test_a_child_keeps_what_goes_not_without_saying():
    child = entry("child", {"speculation": INT4, "batch_size": None}, ["batch_size"])
    assert what(child, compared())[-1] == "It keeps its parent's speculation by a draft of 4-bit weights."
    child = entry("child", {"parallel": {"tensor": 1, "pipeline": 2}, "engine": {"name": "graph"}}, ["batch_size"])
    assert what(child, compared())[-1] == "It keeps its parent's layer sharding and graph engine."


def test_collective_calls_and_scaling_of_tensor_parallelism():
    rank = {"collectives": {"one_shot_allreduce": 1040}, "communication_share": 0.21}
    own = entry("own", {"parallel": {"tensor": 2, "pipeline": 1}}, ["parallel"], processes=2,
                evidence={"parallel": {"ranks": [rank, rank]}})  # fmt: skip
    assert mechanism(own, entry("parent", {}), {}).work == (
        "rank 0 made 1,040 collective calls in the observed batch, 21.0% of a decode step; "
        "44.0 samples a second a device, a scaling efficiency of 70.0%"
    )


def test_a_pipeline_is_what_was_seen_in_flight():
    settings = {"parallel": {"tensor": 1, "pipeline": 2}, "engine": {"name": "graph"}, "batch_size": 64}

    def seen(in_flight: int) -> Any:
        evidence = {"parallel": {"ranks": [{"micro_batches_in_flight": in_flight}]}}
        own = entry("own", settings, ["parallel"], processes=2, evidence=evidence, measured_speedup={"value": 1.8})
        return mechanism(own, entry("parent", {}), {})

    assert seen(2).text.endswith("which work on 2 micro-batches at the same time")
    assert (seen(2).work.split(", ")[1], seen(2).expected) == ("a scaling efficiency of 90.0%", FASTER)
    assert "take turns" in seen(1).text


def test_a_pipeline_of_single_requests_is_explained_as_layer_sharding():
    settings = {"parallel": {"tensor": 1, "pipeline": 2}, "engine": {"name": "graph"}}
    assert "take turns" in what(entry("own", settings, ["parallel"]), {})[0]
    assert "micro-batches" in what(entry("own", settings | {"batch_size": 8}, ["parallel"]), {})[0]


def test_a_facets_own_reason_stands_against_an_expected_gain():
    own = entry("own", {"quantization": {"method": "nf4"}}, ["quantization"], known=KNOWN | {"bytes_per_token": 1e6},
                measured_speedup={"value": 0.6, "verdict": "lower"})  # fmt: skip
    parent = entry("parent", {})
    assert reasons.why_sentence(own, compared(own, parent)).endswith(
        "; unpacking and multiplying such weights costs more here than reading fewer bytes saves."
    )
