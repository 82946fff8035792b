import pytest

from scripts.comparison import order


def runs(*minutes):
    return {
        "status": "ok",
        "runs": [
            {"started_at": f"2025-01-02T03:{m:02}:00.000Z", "finished_at": f"2025-01-02T03:{m:02}:59Z"} for m in minutes
        ],
    }


def test_interleaved_runs():
    found = order.order({"a": runs(1, 4), "b": runs(2, 3), "failed": {"status": "unsupported", "runs": []}})
    assert found["interleaved"] is True
    assert found["blocks"] == [["a", "b"], ["b", "a"]]


def test_a_technique_measured_apart_is_named():
    found = order.order({"a": runs(1, 4, 7), "late": runs(20, 21, 22), "b": runs(2, 5, 8), "c": runs(3, 6, 9)})
    assert found["interleaved"] is False
    assert "Runs of late were measured apart" in found["note"]


def test_runs_technique_by_technique_are_not_interleaved():
    found = order.order({"a": runs(1, 2), "b": runs(3, 4), "c": runs(5, 6)})
    assert found["interleaved"] is False
    assert found["note"].startswith("Runs were not interleaved")


def test_a_block_that_began_before_the_last_had_ended_is_not_interleaved():
    long = runs(2, 5)
    long["runs"][0]["finished_at"] = "2025-01-02T03:04:30Z"
    assert order.order({"a": runs(1, 4), "b": long})["interleaved"] is False
    assert order.order({"a": runs(1, 6), "b": long})["interleaved"] is True


@pytest.mark.parametrize("metrics", [{"a": runs(1), "b": runs(2)}, {"a": {"status": "ok", "runs": [{"run": 1}]}}, {}])
def test_an_order_that_can_not_be_told_is_none(metrics):
    assert order.order(metrics)["interleaved"] is None
