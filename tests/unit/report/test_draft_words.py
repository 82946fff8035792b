"""What the report says of a draft that is stored in fewer bits."""

from typing import Any

import pytest

from scripts.metrics import figures
from scripts.report import words_facets
from scripts.report.mechanisms import FASTER, NEITHER, SLOWER, mechanism

PLAIN = {"draft": "small", "tokens": 4}
INT4 = PLAIN | {"draft_quantization": {"method": "int4_weight_only"}}


def technique(name: str, speculation: dict[str, Any], bytes_per_token: float) -> dict[str, Any]:
    found = {"bytes_per_token": bytes_per_token, "acceptance_rate": 0.8, "accepted_per_round": 2.4}
    return {"name": name, "label": name, "difference": {"speculation": speculation},
            "settings": {"kv_cache": "dynamic", "speculation": speculation},
            "figures": {key: figures.figure(value, "1", 1) for key, value in found.items()}}  # fmt: skip


def comparison(**gains: float) -> dict[str, Any]:
    rows = [
        {
            "technique": name,
            "cost_ratio": figures.figure(0.12, "1", 1),
            "predicted_speedup": figures.figure(gain, "1", 1),
        }
        for name, gain in gains.items()
    ]
    return {"break_even": rows}


@pytest.mark.parametrize(("gain", "expected"), [(1.6, FASTER), (1.2, SLOWER), (1.41, NEITHER)])
def test_a_drafts_form_is_said_and_its_gain_is_that_over_the_parents(gain, expected):
    own, parent = technique("int4", INT4, 75.0), technique("plain", PLAIN, 100.0)
    found = mechanism(own, parent, comparison(int4=gain, plain=1.4))
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
    assert mechanism(own, parent, comparison(int4=gain)).expected == NEITHER


def test_against_the_target_alone_nothing_else_is_said_than_of_any_draft():
    target = {"name": "target", "label": "Target", "settings": {"kv_cache": "dynamic"}, "figures": {}}
    found = mechanism(technique("plain", PLAIN, 100.0), target, comparison(plain=1.4))
    assert found.text == "The model “small” drafts 4 tokens a round, which the target verifies in one pass"
    assert found.expected == FASTER
    assert "bytes" not in found.work


@pytest.mark.parametrize("forced", [False, True])
def test_a_third_sentence_tells_what_fewer_bits_change(forced):
    more = {"forced_acceptance": 0.7} if forced else {}
    two = words_facets.facet_sentences("speculation", {"speculation": PLAIN | more})
    three = words_facets.facet_sentences("speculation", {"speculation": INT4 | more})
    assert three[:2] == two
    assert three[2].startswith("The draft's linear layers hold 4-bit weights, so that drafting reads fewer bytes")
    # A draw accepts as many whatever the draft is.
    assert ("accepted less often" in three[2]) is not forced


def test_a_child_keeps_speculation_by_that_draft():
    child = {"name": "child", "parent": "int4", "difference": {"batch_size": 1}, "settings": {"speculation": INT4}}
    assert words_facets.what(child, {"techniques": []})[-1] == (
        "It keeps its parent's speculation by a draft of 4-bit weights."
    )
