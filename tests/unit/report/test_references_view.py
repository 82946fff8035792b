import pytest

from scripts.report.sections import references as references_view

MEASURED = {"value": 1.4, "low": 1.3, "high": 1.5}


def study(reported, measured, **changes):
    row = {
        "name": "KV caching",
        "technique": "kv_cache",
        "against": {"name": "Plain", "technique": "baseline"},
        "why_none": None,
        "reported": {"latency": 0.712},
        "reported_ratio": {"latency": reported},
        "measured": {"latency": 0.1},
        "measured_ratio": {"latency": measured},
        "note": "",
    } | changes
    reference = {
        "id": "a",
        "title": "A study",
        "date": "2025",
        "model": "m",
        "dataset": "",
        "environment": None,
        "note": "",
        "faults": [],
        "columns": [{"key": "latency", "title": "Latency reduction", "unit": "1", "better": "low"}],
        "rows": [row],
        "choices": [
            {"scenario": name, "label": name.title(), "reported": ["x", "y"], "ours": None}
            for name in ("edge", "server", "other")
        ],
        "top_three": [{"name": "x", "overall_percent": 18.7}],
    }
    ranked = [{"technique": "kv_cache", "score": 1.2, "low": 1.1, "high": 1.3, "chance_best": 0.8}]
    return {
        "techniques": [{"name": "kv_cache", "label": "KV cache"}, {"name": "baseline", "label": "Baseline"}],
        "references": [reference],
        "scenarios": [
            {"name": "edge", "winner": "kv_cache", "ranked": ranked, "one_device": None},
            {"name": "server", "winner": None, "ranked": []},
        ],
        "ranking": {"overall": ranked},
    }


def plain(text):
    """Return a text with letters in place of the signs that look like them."""
    return text.replace("\N{MULTIPLICATION SIGN}", "x").replace("\N{EN DASH}", "-")


def shown(*arguments, **changes):
    return references_view.references(study(*arguments, **changes))[0]


def test_reported_and_measured_stand_side_by_side():
    found = shown(0.406, {"value": 0.5, "low": 0.45, "high": 0.55})
    cell = found["rows"][0]["cells"][0]
    assert {key: plain(value) for key, value in cell.items()} == {
        "reported": "0.712",
        "ratio": "0.406x",
        "measured": "0.500x",
        "interval": "0.450-0.550x",
    }
    assert found["rows"][0]["over"] == {"there": "Plain", "here": "Baseline"}
    assert found["facts"] == [("Model", "m"), ("Date", "2025")]
    assert found["columns"] == [{"title": "Latency reduction", "unit": ""}]
    assert found["disagreements"] == []


def test_what_was_not_measured_says_why():
    row = shown(0.4, None, technique=None, why_none="it has no such technique")["rows"][0]
    assert (row["why_none"], row["technique"]) == ("it has no such technique", "")
    assert (row["cells"][0]["measured"], row["cells"][0]["interval"]) == ("—", "")


def test_a_technique_that_the_study_has_not_is_no_link():
    row = shown(0.4, None, technique="tensor_parallel")["rows"][0]
    assert (row["technique"], row["why_none"]) == ("", "this study has no technique 'tensor_parallel'")


def test_another_direction_is_said_only_where_the_interval_excludes_it():
    found = shown(0.406, MEASURED)
    assert [plain(sentence) for sentence in found["disagreements"]] == [
        "KV caching, here KV cache, goes the other way here, held against Plain there and Baseline here: "
        "Latency 0.406x reported, 1.40x here (1.30-1.50x)."
    ]
    assert shown(1.2, {"value": 0.8, "low": 0.7, "high": 0.9})["disagreements"]


@pytest.mark.parametrize(
    ("reported", "measured"),
    [
        (0.4, {"value": 1.1, "low": 0.9, "high": 1.3}),
        (0.4, {"value": 1.1, "low": None, "high": None}),
        (1.001, {"value": 0.5, "low": 0.4, "high": 0.6}),
        (None, MEASURED),
        (1.5, MEASURED),
        (0.4, None),
    ],
)
def test_no_disagreement_is_claimed_without_evidence(reported, measured):
    assert shown(reported, measured)["disagreements"] == []


def test_recommendations_stand_beside_the_winners_here():
    found = shown(0.4, None)
    edge, server, other = found["choices"]
    assert edge == {
        "label": "Edge",
        "reported": "x, y",
        "ours": "KV cache",
        "why": "chance of being the best 80%",
    }
    assert (server["ours"], server["why"]) == ("", "no technique qualifies here")
    assert (other["ours"], other["why"]) == ("", "not a scenario of this study")
    assert found["top"] == {"reported": "x (+18.7% overall, by its own count)", "ours": "KV cache"}


def test_nothing_is_shown_without_references():
    assert references_view.references(study(1, None) | {"references": []}) is None
