from pathlib import Path

import pytest
import yaml

from scripts.foundation.errors import StudyError
from scripts.study.techniques import resolve

ROOT = Path(__file__).resolve().parents[3]
MODELS = {"small", "large"}
BASE = {"model": "small", "kv_cache": "none"}


def resolved(select=(), **entries):
    return {technique.name: technique for technique in resolve(entries, list(select), MODELS)}


def lossless(**entries):
    return {name: technique.lossless for name, technique in resolved(**entries).items()}


def test_a_technique_is_its_parents_settings_with_its_own_over_them():
    made = resolved(
        baseline={"label": "Base"} | BASE,
        cached={"extends": "baseline", "kv_cache": "dynamic"},
        quantised={"extends": "cached", "quantization": "nf4"},
        both={"extends": "quantised", "pruning": {"amount": 0.5}},
    )
    nf4 = {"method": "nf4", "double_quantization": False, "compute_dtype": "model"}
    pruning = {"method": "magnitude", "amount": 0.5, "scope": "global"}
    assert made["both"].settings == {
        "model": "small", "kv_cache": "dynamic", "quantization": nf4, "pruning": pruning,
    }  # fmt: skip
    assert made["both"].parent == "quantised"
    assert made["both"].difference == {"pruning": pruning}
    assert made["cached"].difference == {"kv_cache": "dynamic"}
    # The root differs from nothing: all it sets is its own.
    assert made["baseline"].parent is None
    assert made["baseline"].difference == BASE


def test_a_label_is_not_inherited():
    made = resolved(baseline={"label": "Base"} | BASE, cached={"extends": "baseline", "kv_cache": "dynamic"})
    assert made["baseline"].label == "Base"
    assert made["cached"].label == "cached"


def test_a_facet_can_be_switched_off_again():
    made = resolved(
        baseline=BASE | {"quantization": "nf4", "parallel": {"tensor": 2}},
        plain={"extends": "baseline", "quantization": "none", "parallel": "none"},
    )
    assert made["plain"].settings == BASE
    assert made["plain"].difference == {"quantization": None, "parallel": None}


def test_the_same_value_spelled_in_another_way_is_no_difference():
    made = resolved(
        baseline=BASE | {"quantization": "nf4", "pruning": "magnitude"},
        same={
            "extends": "baseline", "kv_cache": "none", "quantization": {"method": "nf4", "double_quantization": False},
            "pruning": {"amount": 0.3}, "parallel": {"tensor": 1},
        },
    )  # fmt: skip
    assert made["same"].difference == {}


def test_an_option_of_the_parents_facet_does_not_leak_into_the_childs():
    made = resolved(
        baseline=BASE | {"pruning": {"amount": 0.7, "scope": "layer"}},
        other={"extends": "baseline", "pruning": {"amount": 0.2}},
    )
    assert made["other"].settings["pruning"] == {"method": "magnitude", "amount": 0.2, "scope": "global"}


def test_order_of_the_entries_does_not_matter():
    made = resolved(child={"extends": "root", "kv_cache": "dynamic"}, root=BASE)
    assert made["child"].settings == {"model": "small", "kv_cache": "dynamic"}


def test_a_selection_is_in_its_own_order_and_needs_no_parents_in_it():
    entries = {"a": BASE, "b": {"extends": "a", "kv_cache": "dynamic"}, "c": {"extends": "b", "model": "large"}}
    assert list(resolved(["c", "a"], **entries)) == ["c", "a"]
    assert list(resolved([], **entries)) == ["a", "b", "c"]
    assert resolved(["c"], **entries)["c"].settings == {"model": "large", "kv_cache": "dynamic"}


def test_what_must_leave_every_token_as_it_was():
    root = BASE | {"kv_cache": "dynamic"}
    assert lossless(
        root=root,
        no_cache={"extends": "root", "kv_cache": "none"},
        tensor={"extends": "root", "parallel": {"tensor": 2}},
        single={"extends": "tensor", "parallel": "none"},
        speculative={"extends": "root", "speculation": {"draft": "small"}},
        graph={"extends": "root", "engine": "graph"},
        forced={"extends": "graph", "speculation": {"draft": "small", "forced_acceptance": 0.7}},
        model={"extends": "root", "model": "large"},
        quantised={"extends": "root", "quantization": "nf4"},
        pruned={"extends": "root", "pruning": "magnitude"},
        two_at_once={"extends": "root", "kv_cache": "none", "pruning": "magnitude"},
        pruned_speculative={"extends": "pruned", "speculation": {"draft": "small"}},
        int8_draft={"extends": "speculative", "speculation": {"draft": "small", "draft_quantization": "int8"}},
    ) == {
        "root": False, "no_cache": True, "tensor": True, "single": True, "speculative": True, "graph": True,
        "forced": False, "model": False,
        "quantised": False, "pruned": False, "two_at_once": False, "pruned_speculative": True,
        "int8_draft": True,
    }  # fmt: skip


def test_quantised_weights_may_round_otherwise():
    """Shards have blocks and outliers of their own; 8-bit products depend on how many tokens there are in a forward."""
    root = BASE | {"kv_cache": "dynamic"}
    assert lossless(
        nf4=root | {"quantization": "nf4"},
        nf4_tensor={"extends": "nf4", "parallel": {"tensor": 2}},
        nf4_speculative={"extends": "nf4", "speculation": {"prompt_lookup": 4}},
        int8=root | {"quantization": "int8"},
        int8_no_cache={"extends": "int8", "kv_cache": "none"},
        int8_speculative={"extends": "int8", "speculation": {"prompt_lookup": 4}},
        eight=root | {"quantization": "int8_weight_only"},
        eight_tensor={"extends": "eight", "parallel": {"tensor": 2}},
        eight_speculative={"extends": "eight", "speculation": {"prompt_lookup": 4}},
        fp8=root | {"quantization": "fp8"},
        fp8_batch={"extends": "fp8", "batch_size": 32},
    ) == {
        "nf4": False, "nf4_tensor": False, "nf4_speculative": True,
        "int8": False, "int8_no_cache": False, "int8_speculative": False,
        "eight": False, "eight_tensor": False, "eight_speculative": True,
        "fp8": False, "fp8_batch": False,
    }  # fmt: skip


def test_processes_and_the_second_model_follow_from_the_facets():
    made = resolved(
        root=BASE | {"kv_cache": "dynamic"},
        tensor={"extends": "root", "parallel": {"tensor": 4}},
        stages={"extends": "root", "parallel": {"pipeline": 2}},
        target={"extends": "root", "model": "large"},
        drafted={"extends": "target", "speculation": {"draft": "small"}},
        lookup={"extends": "root", "speculation": {"prompt_lookup": 3}},
    )
    assert {name: technique.processes for name, technique in made.items()} == {
        "root": 1, "tensor": 4, "stages": 2, "target": 1, "drafted": 1, "lookup": 1,
    }  # fmt: skip
    assert {name: technique.draft for name, technique in made.items()} == {
        "root": None, "tensor": None, "stages": None, "target": None, "drafted": "small", "lookup": None,
    }  # fmt: skip
    assert made["drafted"].model == "large"
    assert made["tensor"].facets == ["parallel", "kv_cache"]


def test_the_second_models_facets_are_code_of_the_technique_too():
    drafted = {"extends": "root", "speculation": {"draft": "small"}}
    quantised = {"extends": "root", "speculation": {"draft": "small", "draft_quantization": "nf4"}}
    made = resolved(
        root=BASE | {"kv_cache": "dynamic"},
        drafted=drafted,
        quantised=quantised,
        both=quantised | {"quantization": "int8"},
    )
    assert made["quantised"].facets == made["drafted"].facets == ["kv_cache", "speculation"]
    modules = {name: set(technique.code_modules) for name, technique in made.items()}
    stored = {f"scripts.techniques.quantization.{name}" for name in ("facet", "nf4.method")}
    assert modules["drafted"] == {f"scripts.techniques.{name}.facet" for name in ("kv_cache", "speculation")}
    assert modules["quantised"] == modules["drafted"] | stored
    assert modules["both"] == modules["quantised"] | {"scripts.techniques.quantization.int8.method"}
    # The models, and so the inputs, are those of a draft as it is.
    assert made["quantised"].draft == made["drafted"].draft == "small"


@pytest.mark.parametrize(
    ("entries", "select", "sentence"),
    [
        ({"a": BASE | {"extends": "b"}}, [], "techniques.a.extends is 'b', which is no technique"),
        ({"baseline": BASE, "a": {"extends": "basline"}}, [], "perhaps 'baseline' is meant"),
        ({"a": {"extends": "a"} | BASE}, [], "techniques.a.extends closes a circle (a -> a)"),
        (
            {"a": {"extends": "b"}, "b": {"extends": "c"}, "c": {"extends": "a"}}, [],
            "techniques.c.extends closes a circle (a -> b -> c -> a)",
        ),
        ({"r": {"extends": "a"}, "a": {"extends": "b"}, "b": {"extends": "a"}}, [], "closes a circle (a -> b -> a)"),
        ({"a": {"kv_cache": "none"}}, [], "techniques.a has no model"),
        ({"a": {"model": "small"}}, [], "techniques.a has no kv_cache"),
        ({"a": BASE | {"model": "smal"}}, [], "techniques.a.model is 'smal', which is no model"),
        (
            {"a": {"model": "large", "kv_cache": "dynamic", "speculation": {"draft": "tiny"}}}, [],
            "techniques.a.speculation.draft is 'tiny', which is no model; there are ",
        ),
        ({"a": BASE | {"kv_cache": "static"}}, [], "techniques.a: kv_cache is 'static'"),
        ({"a": BASE | {"quantization": "int4"}}, [], "techniques.a: quantization method 'int4' does not exist"),
        ({"a": BASE | {"speculation": {"prompt_lookup": 4}}}, [], "techniques.a: kv_cache 'none' does not compose"),
        ({"a": BASE | {"parallel": {"tensor": 2, "pipeline": 2}}}, [], "techniques.a: parallel 'tensor' does not"),
        ({"a": BASE | {"batching": 8}}, [], "the facet 'batching' has no module scripts/techniques/batching/facet.py"),
        ({"a": BASE | {"batch_size": 4, "kv_cache": "dynamic"}, "b": {"extends": "a", "speculation": {"draft": "x"}}},
         [], "techniques.b: batch_size does not compose with speculation"),
        # Its speed-up would be that of another model than the one that it speeds up.
        ({"a": BASE, "b": {"extends": "a", "kv_cache": "dynamic", "model": "large", "speculation": {"draft": "small"}}},
         [], "techniques.b sets both model and speculation"),
        ({"a": BASE}, ["a", "b"], "select names 'b', which is no technique"),
        # Found though it is not selected.
        ({"a": BASE, "broken": {"extends": "a", "kv_cache": "?"}}, ["a"], "techniques.broken: kv_cache is '?'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_that_names_the_key(entries, select, sentence):
    with pytest.raises(StudyError) as error:
        resolve(entries, select, MODELS)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_facets_are_not_changed_by_being_resolved():
    entries = {"a": BASE | {"pruning": {"amount": 0.5}}, "b": {"extends": "a", "speculation": "none"}}
    before = repr(entries)
    resolve(entries, [], MODELS)
    assert repr(entries) == before


def test_each_built_in_technique_changes_one_facet_of_its_parent():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    for technique in resolve(config["techniques"], [], set(config["models"])):
        assert technique.parent is None or len(technique.difference) == 1, technique.name
