from itertools import pairwise

import pytest

from scripts.engine.occupancy import occupancy
from scripts.foundation.errors import StudyError
from scripts.runtime.stages import micro_batches, split
from scripts.runtime.stop_texts import StopTexts
from scripts.techniques.parallel.facet import FACET
from tests.support.engine_cases import DRAWN, NEW, ONE_BY_ONE, PROMPTS, TOGETHER, case, cut, greedy, stopping
from tests.support.engine_group import run_engine, run_engines, written_out
from tests.support.tiny_checkpoint import make_checkpoint

PIPELINE = {"parallel": {"pipeline": 2}}
SIX = PIPELINE | {"batch_size": 6}
FOUR_PARTS = {"parallel": {"pipeline": 2, "micro_batches": 4}, "batch_size": 6}
PREFIX = FOUR_PARTS | {"engine": {"name": "graph", "shared_prefix": True}}
THREE = {"parallel": {"pipeline": 3}, "batch_size": 6}
LAYERS, HIDDEN = 3, 128


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("models") / "plain", layers=LAYERS, bias=True)


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("models") / "tied", layers=LAYERS, tied=True)


@pytest.fixture(scope="module")
def written(model):
    return greedy(model)


@pytest.fixture(scope="module")
def stops(written):
    return stopping(written)


@pytest.fixture(scope="module")
def groups(model, tied, stops, tmp_path_factory):
    two = {
        "one": case(model, PIPELINE, ONE_BY_ONE),
        "six": case(model, SIX, TOGETHER),
        "tied_prefix": case(tied, PREFIX, TOGETHER),
        "stops": case(model, FOUR_PARTS, TOGETHER, stops=stops),
        "ahead": case(model, FOUR_PARTS, TOGETHER, stops=stops, ahead=1),
        "texts": case(model, FOUR_PARTS, TOGETHER, texts=[f"{token}>" for token in stops]),
        "drawn": case(model, FOUR_PARTS, TOGETHER, sampling=DRAWN),
        "drawn_prefix": case(model, PREFIX, TOGETHER, sampling=DRAWN, ahead=1),
        "long": case(model, SIX, [[(prompt * 20)[:400] for prompt in PROMPTS]], new_tokens=3),
    }
    three = {
        "three": case(model, THREE, [*TOGETHER, PROMPTS[:2]]),
        "three_ahead": case(model, THREE, TOGETHER, stops=stops, ahead=1),
    }
    found = run_engines(two, 2, tmp_path_factory.mktemp("two"))
    return found | run_engines(three, 3, tmp_path_factory.mktemp("three"))


def flat(report):
    return [row for batch in report["tokens"] for row in batch]


@pytest.mark.parametrize("name", ["one", "six"])
def test_two_stages_write_what_transformers_does(groups, written, name):
    for report in groups[name]:
        assert flat(report) == written


@pytest.mark.parametrize("name", ["drawn", "drawn_prefix"])
def test_stages_draw_what_one_process_does(groups, model, written, name):
    alone = flat(run_engine(case(model, {}, ONE_BY_ONE, sampling=DRAWN)))
    assert alone != written
    for report in groups[name]:
        assert flat(report) == alone


def test_a_tied_head_and_a_prefix(groups, tied):
    for report in groups["tied_prefix"]:
        assert flat(report) == greedy(tied)


def test_three_stages_write_the_same(groups, written):
    for report in groups["three"]:
        assert flat(report) == written + written[:2]


@pytest.mark.parametrize("name", ["stops", "ahead", "three_ahead"])
def test_stages_stop_alike(groups, written, stops, name):
    expected = [cut(row, stops) for row in written]
    for report in groups[name]:
        assert [cut(row, stops) for row in flat(report)] == expected
    calls = [report["collectives"] for report in groups[name]]
    assert len({each["broadcast"] for each in calls}) == 1
    assert all(before["send"] == after["recv"] for before, after in pairwise(calls))


def test_a_micro_batch_whose_rows_have_all_stopped_is_left(groups, written, stops):
    # Parts of 2, 2, 1 and 1 rows; an extra look-ahead step each where one is under way.
    lengths = [len(cut(row, stops)) for row in written]
    parts_end = [max(lengths[:2]), max(lengths[2:4]), lengths[4], lengths[5]]
    assert min(parts_end) < NEW
    assert groups["stops"][0]["collectives"]["broadcast"] == sum(parts_end)
    assert groups["ahead"][0]["collectives"]["broadcast"] == sum(end + (end < NEW) for end in parts_end)


def test_texts_end_rows_as_tokens_do(groups, written, stops):
    texts = StopTexts(tuple(f"{token}>" for token in stops), written_out)
    lengths = [texts.end(row) or NEW for row in written]
    assert min(lengths) < NEW
    assert groups["texts"][0]["collectives"]["broadcast"] == sum(
        (max(lengths[:2]), max(lengths[2:4]), lengths[4], lengths[5])
    )
    for report in groups["texts"]:
        assert [row[:end] for row, end in zip(flat(report), lengths, strict=True)] == [
            row[:end] for row, end in zip(written, lengths, strict=True)
        ]


def test_what_goes_forward_and_back(groups):
    for rank, report in enumerate(groups["six"]):
        facts = report["evidence"]["parallel"]
        assert facts["micro_batches"] == [3, 3]
        assert facts["token_bytes_sent_back_per_step"] == 6 * 8
        # The prompts' states, padded to 48 tokens, and then one a row; the last stage hands nothing on.
        states = 6 * (48 + NEW - 1) * HIDDEN * 4 / NEW if rank == 0 else 0
        assert facts["bytes_sent_forward_per_step"] == pytest.approx(states)
        assert 0 <= facts["communication_share"] < 1


def test_stages_hold_all_layers(groups):
    held = [report["evidence"]["parallel"]["layers_held"] for report in groups["six"]]
    assert held == [[0, 1], [2]]
    assert [report["evidence"]["parallel"]["layers_held"] for report in groups["three"]] == [[0], [1], [2]]


def test_stages_work_at_the_same_time(groups):
    # Long prompts, so that work outweighs what a busy machine does in between.
    facts = groups["long"][0]["evidence"]["parallel"]
    assert facts["micro_batches_in_flight"] == 2
    assert facts["kind"] == "pipeline"


def test_a_single_request_takes_turns(groups):
    facts = groups["one"][0]["evidence"]["parallel"]
    assert (facts["micro_batches"], facts["micro_batches_in_flight"]) == ([1], 1)
    assert facts["kind"].startswith("layer sharding")


def test_occupancy_counts_micro_batches_at_the_same_time():
    turns = occupancy([[(0.0, 1.0, 0), (2.0, 3.0, 0)], [(1.0, 2.0, 0)]])
    assert (turns.in_flight, turns.busy) == (1, 1.0)
    full = occupancy([[(0.0, 1.0, 0), (1.0, 2.0, 1)], [(1.0, 2.0, 0), (2.0, 3.0, 1)]])
    assert (full.in_flight, full.busy) == (2, pytest.approx(4 / 3))
    assert full.waiting == [pytest.approx(1 / 3)] * 2
    # A moment of overlap, as clocks that differ a little show, is none.
    assert occupancy([[(0.0, 1.0, 0)], [(0.95, 2.0, 1)]]).in_flight == 1


@pytest.mark.parametrize(
    ("layers", "stages", "head", "counts"),
    [
        (16, 1, 2.0, [16]),
        (32, 2, 0.0, [16, 16]),
        (32, 2, 1.2, [17, 15]),
        (16, 2, 2.15, [9, 7]),
        (32, 4, 1.2, [9, 8, 8, 7]),
        (3, 3, 5.0, [1, 1, 1]),
    ],
)
def test_layers_are_shared_out_by_time(layers, stages, head, counts):
    held = split(layers, stages, head)
    assert [len(each) for each in held] == counts
    assert [layer for each in held for layer in each] == list(range(layers))


def test_rows_are_cut_evenly():
    assert [len(part) for part in micro_batches(7, 3)] == [3, 2, 2]
    assert micro_batches(2, 4) == [range(1), range(1, 2)]


def test_micro_batches_need_a_pipeline_and_the_projects_loop():
    assert FACET.resolve({"pipeline": 2, "micro_batches": 4}) == {"tensor": 1, "pipeline": 2, "micro_batches": 4}
    with pytest.raises(StudyError, match="set parallel 'pipeline'"):
        FACET.check({"tensor": 2, "pipeline": 1, "micro_batches": 4}, {"engine": {"name": "graph"}})
    with pytest.raises(StudyError, match="add engine: graph"):
        FACET.check({"tensor": 1, "pipeline": 2, "micro_batches": 4}, {"engine": None})
