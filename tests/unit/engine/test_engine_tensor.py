import pytest

from tests.support.engine_cases import DRAWN, NEW, ONE_BY_ONE, PROMPTS, TOGETHER, case, cut, greedy, stopping
from tests.support.engine_group import run_engine, run_engines
from tests.support.tiny_checkpoint import make_checkpoint

TENSOR = {"parallel": {"tensor": 2}}
SIX = TENSOR | {"batch_size": 6}
PREFIX = SIX | {"engine": {"name": "graph", "shared_prefix": True}}
LAYERS = 3


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Biases of split and of summed layers; an embedding that is the head too."""
    root = tmp_path_factory.mktemp("models")
    return {
        "plain": make_checkpoint(root / "plain", layers=LAYERS, bias=True),
        "tied": make_checkpoint(root / "tied", layers=LAYERS, tied=True),
    }


@pytest.fixture(scope="module")
def written(models):
    return {name: greedy(checkpoint) for name, checkpoint in models.items()}


@pytest.fixture(scope="module")
def stops(written):
    return stopping(written["plain"])


@pytest.fixture(scope="module")
def groups(models, stops, tmp_path_factory):
    plain, tied = models["plain"], models["tied"]
    cases = {
        "one": case(plain, TENSOR, ONE_BY_ONE),
        "six": case(plain, SIX, TOGETHER),
        "tied_prefix": case(tied, PREFIX, TOGETHER),
        "stops": case(plain, SIX, TOGETHER, stops=stops),
        "ahead": case(plain, TENSOR, ONE_BY_ONE, stops=stops, ahead=1),
        "texts": case(plain, TENSOR, ONE_BY_ONE, texts=[f"<{token}>" for token in stops], ahead=1),
        "drawn": case(plain, SIX, TOGETHER, sampling=DRAWN),
        "drawn_ahead": case(tied, TENSOR, ONE_BY_ONE, sampling=DRAWN, ahead=1),
        "int8": case(tied, SIX | {"quantization": "int8_weight_only"}, TOGETHER),
        "nf4": case(tied, SIX | {"quantization": "nf4"}, TOGETHER),
    }
    return run_engines(cases, 2, tmp_path_factory.mktemp("group"))


def flat(report):
    return [row for batch in report["tokens"] for row in batch]


@pytest.mark.parametrize(("name", "model"), [("one", "plain"), ("six", "plain"), ("tied_prefix", "tied")])
def test_two_ranks_write_what_transformers_does(groups, written, name, model):
    for report in groups[name]:
        assert flat(report) == written[model]


def test_one_process_writes_the_same(models, written):
    assert flat(run_engine(case(models["plain"], {"batch_size": 6}, TOGETHER))) == written["plain"]


@pytest.mark.parametrize(("name", "model"), [("drawn", "plain"), ("drawn_ahead", "tied")])
def test_ranks_draw_what_one_process_does(groups, models, written, name, model):
    alone = flat(run_engine(case(models[model], {}, ONE_BY_ONE, sampling=DRAWN)))
    assert alone != written[model]
    for report in groups[name]:
        assert flat(report) == alone


@pytest.mark.parametrize("name", ["stops", "ahead"])
def test_ranks_stop_alike(groups, written, stops, name):
    expected = [cut(row, stops) for row in written["plain"]]
    assert len({len(row) for row in expected}) > 2
    for report in groups[name]:
        assert [cut(row, stops) for row in flat(report)] == expected
    first, second = groups[name]
    assert [len(batch) for batch in first["moments"]] == [len(batch) for batch in second["moments"]]
    assert first["collectives"] == second["collectives"]


def test_sums_are_counted(groups):
    facts = groups["six"][0]["evidence"]["parallel"]
    # Two a layer and one for the choice, in the prompt's pass and in each step.
    assert facts["collectives"] == {"allreduce": NEW * (2 * LAYERS + 1)}
    assert 0 < facts["communication_share"] < 1
    assert facts["decode_step_s"] > facts["decode_step_without_collectives_s"] > 0
    assert facts["sums_by"] == "gloo"


def test_an_extra_look_ahead_step_is_counted_too(groups, written, stops):
    last = cut(written["plain"][-1], stops)
    steps = len(last) + (len(last) < NEW)
    assert groups["ahead"][0]["collectives"] == {"allreduce": steps * (2 * LAYERS + 1)}


def test_each_rank_holds_its_part(groups):
    for report in groups["six"]:
        facts = report["evidence"]["parallel"]
        assert (facts["vocabulary_rows"], facts["key_value_heads"], facts["sharded_modules"]) == (160, 1, 7 * LAYERS)
        assert report["evidence"]["engine"]["cache_class"] == "StaticCache"


def test_a_tied_embedding_is_whole_and_held_once(groups, models):
    whole = run_engine(case(models["tied"], {"batch_size": 6}, TOGETHER))["weight_bytes"]
    embedding = 320 * 128 * 4
    for report in groups["tied_prefix"]:
        assert report["weight_bytes"] == pytest.approx((whole - embedding) / 2 + embedding, rel=0.01)
        assert report["evidence"]["engine"]["prefix_tokens"] == 3


def test_quantised_shards_are_run(groups, models):
    # A shard of columns has scales of its own, so that rounding differs from that of one process.
    alone = flat(run_engine(case(models["tied"], {"quantization": "int8_weight_only", "batch_size": 6}, TOGETHER)))
    for name in ("int8", "nf4"):
        first, second = groups[name]
        assert first["tokens"] == second["tokens"]
        assert first["evidence"]["quantization"]["quantized_modules"] == 7 * LAYERS
        assert sum(first["collectives"].values()) == NEW * (2 * LAYERS + 1)
    alike = sum(one[0] == other[0] for one, other in zip(alone, flat(groups["int8"][0]), strict=True))
    assert alike >= len(PROMPTS) - 1
