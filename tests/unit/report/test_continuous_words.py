"""What the report says of continuous batching."""

from typing import Any

from scripts.report import words_facets
from scripts.report.mechanisms import NEITHER, mechanism

SETTINGS = {"kv_cache": "dynamic", "batch_size": 32, "engine": {"name": "transformers_continuous", "slots": 8}}
PARENT = {"label": "Batches of 32", "settings": {"kv_cache": "dynamic", "batch_size": 32}}


def technique(*difference: str, **facts: Any) -> dict[str, Any]:
    evidence = {"engine": {"mean_sequences_per_step": 6.75} | facts}
    return {"difference": list(difference), "settings": SETTINGS, "figures": {}, "evidence": evidence}


def test_who_shares_a_pass_is_said_with_how_full_it_was():
    found = mechanism(technique("engine"), PARENT, {})
    assert found.text.startswith("Up to 8 requests are under way together, and the next one begins as soon as one")
    assert (found.work, found.expected) == ("a step of the observed batch held 6.8 of them on average", NEITHER)
    assert mechanism(technique("engine", mean_sequences_per_step=None), PARENT, {}).work == ""


def test_a_wait_for_a_slot_is_part_of_the_latency():
    first, second = words_facets.facet_sentences("engine", SETTINGS)
    assert "takes the place of one that has ended" in first
    assert "latency and its first token include its wait for a slot" in second


def test_a_batch_of_it_waits_and_does_not_share_each_pass():
    assert "wait for one of the engine's slots" in words_facets.facet_sentences("batch_size", SETTINGS)[0]
    assert "share each pass" in words_facets.facet_sentences("batch_size", SETTINGS | {"engine": None})[0]
    own = technique("batch_size")
    assert mechanism(own, PARENT, {}).text == "32 requests are handed over at once and wait for 8 slots"
