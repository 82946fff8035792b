import copy
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaForCausalLM
from transformers.generation.candidate_generator import PromptLookupCandidateGenerator

from scripts.engine.engine import GraphEngine
from scripts.engine.proposers import look_up
from scripts.engine.rounds import DRAWS, RoundState, drawn
from scripts.engine.speculation import SpeculativeEngine
from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError
from scripts.runtime.models import Loaded, Process
from scripts.techniques.speculation.facet import FACET
from tests.support.worker_runs import run_worker, settings

CPU = Process(torch.device("cpu"), torch.float32)
PROMPTS = [[(7 * place + 3) % 300 + 3 for place in range(length)] for length in (1, 5, 17, 40)]
PROMPTS = [*PROMPTS, [7, 8, 9] * 5]
NEW = 20
GRAPH = {"engine": "graph"}


@pytest.fixture(scope="module")
def target(checkpoint):
    return LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def drafts(target):
    """Models that propose what the target would, something of it, and nothing of it."""
    torch.manual_seed(3)
    near, far = copy.deepcopy(target), copy.deepcopy(target)
    with torch.no_grad():
        for weight in near.parameters():
            weight += 0.05 * weight.std() * torch.randn_like(weight)
        for weight in far.parameters():
            weight.copy_(weight.std() * torch.randn_like(weight))
    return {"same": copy.deepcopy(target), "near": near, "far": far}


def plain(target, stops=(), limit=NEW):
    engine = GraphEngine(Loaded(copy.deepcopy(target), CPU, {}), shared_prefix=False, pad=2)
    engine.reserve([[prompt] for prompt in PROMPTS], NEW)
    engine.limit(limit, list(stops))
    return [engine.generate([prompt]).tokens[0] for prompt in PROMPTS]


@pytest.fixture(scope="module")
def expected(target):
    return plain(target)


def make(target, drafter, *, prompts=PROMPTS, new=NEW, shared=False, ahead=0, **options):
    loaded = Loaded(copy.deepcopy(target), CPU, {}, draft=copy.deepcopy(drafter))
    engine = SpeculativeEngine(loaded, options or {"draft": "draft", "tokens": 4}, shared_prefix=shared, pad=2)
    engine.ahead = ahead
    engine.reserve([[prompt] for prompt in prompts], new)
    engine.limit(new, [])
    return engine


def tokens(engine, prompts=PROMPTS):
    out = [engine.generate([prompt]) for prompt in prompts]
    assert all(len(each.moments) == len(each.tokens[0]) for each in out)
    return [each.tokens[0] for each in out]


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("kind", ["same", "near", "far"])
def test_the_tokens_are_those_of_the_target_alone(target, drafts, expected, kind, count):
    engine = make(target, drafts[kind], draft="draft", tokens=count)
    assert tokens(engine) == expected
    accepted = sum(taken for prompt in PROMPTS for taken in run_rounds(engine, prompt))
    judged = sum(len(run_rounds(engine, prompt)) for prompt in PROMPTS) * count
    assert {"same": accepted == judged, "near": 0.1 * judged < accepted < judged, "far": accepted < 0.1 * judged}[kind]


def run_rounds(engine, prompt):
    engine.generate([prompt])
    return [accepted for _, accepted in engine.rounds()]


@pytest.mark.parametrize("kind", ["same", "near", "far"])
def test_a_round_that_is_started_ahead_changes_nothing(target, drafts, expected, kind):
    assert tokens(make(target, drafts[kind], ahead=1)) == expected


@pytest.mark.parametrize("options", [{"draft": "draft", "tokens": 3}, {"prompt_lookup": 3}])
def test_a_shared_prefix_is_read_by_both_models(target, drafts, options):
    prompts = [[11, 12, 13, 11, 12, *prompt] for prompt in PROMPTS]
    alone = make(target, drafts["near"], prompts=prompts, **options)
    engine = make(target, drafts["near"], prompts=prompts, shared=True, **options)
    assert engine.prefix == [11, 12, 13, 11, 12]
    assert tokens(engine, prompts) == tokens(alone, prompts)


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4, 5, 6, 11])
@pytest.mark.parametrize("kind", ["same", "near"])
def test_a_stop_token_ends_a_headline_wherever_in_a_round_it_stands(target, drafts, expected, kind, place):
    engine = make(target, drafts[kind])
    for prompt, written in zip(PROMPTS, expected, strict=True):
        stop = written[place]
        engine.limit(NEW, [stop])
        assert engine.generate([prompt]).tokens[0] == written[: written.index(stop) + 1]


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 7, NEW])
@pytest.mark.parametrize("ahead", [0, 1])
def test_no_more_comes_out_than_was_asked_for(target, drafts, expected, limit, ahead):
    engine = make(target, drafts["same"], ahead=ahead)
    engine.limit(limit, [])
    assert tokens(engine) == [written[:limit] for written in expected]


@pytest.mark.parametrize("count", [1, 4, 15])
@pytest.mark.parametrize("ahead", [0, 1])
def test_the_last_rounds_stay_inside_the_room_there_is(target, drafts, count, ahead):
    engine = make(target, drafts["same"], prompts=[PROMPTS[3]], ahead=ahead, draft="draft", tokens=count)
    places = []
    advance = RoundState.advance

    def noted(state, given, chosen, proposed):
        places.append(int(state.positions[1]) + count)  # the last that the round wrote
        advance(state, given, chosen, proposed)

    for limit in range(1, NEW + 1):
        engine.limit(limit, [])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RoundState, "advance", noted)
            engine.generate([PROMPTS[3]])
        state = engine.sessions[1].state
        assert int(state.step) <= len(state.out)
    # The cache is rounded up; the angles aren't.
    assert max(places) < len(engine.decoder.ropes[None].cos) == len(engine.proposer.decoder.ropes[None].cos)


def test_forcing_accepts_the_share_that_was_asked_for(target, drafts):
    engine = make(target, drafts["far"], draft="draft", tokens=3, forced_acceptance=0.7)
    recorder = engine.recorder()
    for start in range(60):
        prompt = [start + 3, *PROMPTS[start % 4]]
        recorder.start(len(prompt))
        recorder.generated(engine.generate([prompt]).tokens[0])
        recorder.fields()
    rate = recorder.total_accepted / (recorder.total_accepted + recorder.total_rejected)
    assert rate == pytest.approx(0.7, abs=0.06)
    assert engine.generate([PROMPTS[2]]).tokens == engine.generate([PROMPTS[2]]).tokens
    assert not drawn(3, 0.0).any()
    assert drawn(3, 1.0).all()
    assert drawn(3, 0.7).float().mean() == pytest.approx(0.7, abs=3 / DRAWS**0.5)


def looked_up(sequence, count, stops=()):
    state = RoundState.empty(count, 8, 320, torch.device("cpu"), length=48)
    state.sequence[: len(sequence)] = torch.tensor(sequence)
    state.sequence[len(sequence) :] = sequence[-1]  # what was rejected must not be found
    state.last_two.copy_(torch.tensor(sequence[-2:]))
    state.positions.copy_(len(sequence) - 2 + torch.arange(count + 1))
    for stop in stops:
        state.is_stop[stop] = 1
    given, proposed = look_up(state)
    assert int(given[0]) == sequence[-1]
    return given[1 : 1 + int(proposed)].tolist()


def test_a_proposal_is_what_transformers_looks_up():
    generator = torch.Generator().manual_seed(0)
    found = 0
    for _ in range(300):
        length = int(torch.randint(2, 40, (), generator=generator))
        sequence = torch.randint(0, 9, (length,), generator=generator).tolist()
        theirs = PromptLookupCandidateGenerator(
            eos_token_id=torch.tensor([8]), num_output_tokens=4, max_matching_ngram_size=2, max_length=1000
        )
        ids, _ = theirs.get_candidates(torch.tensor([sequence]))
        assert looked_up(sequence, 4, [8]) == ids[0, length:].tolist()
        found += ids.shape[1] > length
    assert 100 < found < 290


def test_lookup_changes_no_token_and_accepts_what_repeats(target, expected):
    engine = make(target, None, prompt_lookup=4)
    assert tokens(engine) == expected


def circle(directory):
    from tests.support.tiny_checkpoint import make_checkpoint

    return make_checkpoint(directory, successor=lambda token: token // 4 * 4 + (token + 1) % 4)


def test_a_worker_looks_up_on_a_text_that_repeats(tmp_path, evaluation_set):
    checkpoint = circle(tmp_path / "circle")
    run = run_worker(checkpoint, evaluation_set, GRAPH | {"speculation": {"prompt_lookup": 3}}, thorough=True)
    facts = run.evidence["speculation"]
    assert run.tokens == [[17, 18, 19, 16] * 3] * 3
    assert 0 < facts["accepted_tokens"] < 36
    assert facts["proposed_by"] == ["PromptLookup"]
    assert facts["longest_proposal"] == 3
    assert "draft_calls" not in facts
    assert run.outcome["time"]["verify_forward_s"] > 0
    assert run.outcome["time"]["draft_forward_s"] is None
    check_sums(run, 3)


def check_sums(run, count):
    facts = run.evidence["speculation"]
    for sample in run.samples:
        assert sample["rounds"] + sample["accepted_tokens"] in (sample["new_tokens"], sample["new_tokens"] + 1)
        assert sample["accepted_tokens"] + sample["rejected_tokens"] <= sample["drafted_tokens"]
        assert len(sample["token_times_s"]) == sample["new_tokens"]
    for total, field in (("target_calls", "rounds"), ("drafted_tokens",) * 2, ("accepted_tokens",) * 2):
        assert facts[total] == sum(sample[field] for sample in run.samples)
    histogram = facts["accepted_per_round_histogram"]
    assert len(histogram) == count + 1
    assert sum(histogram) == facts["target_calls"] - len(run.samples)  # the prompts' forwards propose nothing
    assert sum(taken * rounds for taken, rounds in enumerate(histogram)) == facts["accepted_tokens"]


def test_a_worker_drafts_with_the_target_itself(checkpoint, evaluation_set, greedy):
    drafted = GRAPH | {"speculation": {"draft": "draft", "tokens": 4}}
    run = run_worker(checkpoint, evaluation_set, drafted, draft=checkpoint, warmup=2, thorough=True)
    assert run.tokens == greedy.tokens
    for sample in run.samples:
        # One token of the prompt's forward, two whole rounds, and the first of a third.
        assert (sample["rounds"], sample["drafted_tokens"], sample["accepted_tokens"]) == (4, 12, 9)
    facts = run.evidence["speculation"]
    assert facts["acceptance_rate"] == 1.0
    assert facts["draft_calls"] == facts["drafted_tokens"] + 3
    assert facts["proposed_by"] == ["DraftModel"]
    assert run.evidence["engine"]["tokens_verified_at_once"] == 5
    spent = run.outcome["time"]
    assert all(spent[f"{kind}_s"] > 0 for kind in ("target_forward", "draft_forward", "verify_forward", "round"))
    check_sums(run, 4)


def test_a_worker_forces_acceptance(checkpoint, evaluation_set, tmp_path):
    from tests.support.tiny_checkpoint import make_checkpoint

    draft = make_checkpoint(tmp_path / "draft", seed=5, layers=1)
    way = GRAPH | {"speculation": {"draft": "draft", "tokens": 2, "forced_acceptance": 1.0}}
    run = run_worker(checkpoint, evaluation_set, way, draft=draft)
    assert run.evidence["speculation"]["acceptance_rate"] == 1.0
    assert run.evidence["speculation"]["forced_acceptance"] == 1.0
    check_sums(run, 2)


def evidence(value, draft="a model", **counts):
    given = {"total_rounds": 3, "total_drafted": 8, "total_accepted": 4, "total_rejected": 2, "draft_calls": 9,
             "histogram": [1, 0, 0, 0, 1], "longest": 4, "generators": {"DraftModel"}}  # fmt: skip
    counter = SimpleNamespace(**given | counts)
    loaded = Loaded(None, CPU, {}, draft=draft, notes={"round_counter": counter})
    return FACET.evidence(value, loaded, None)


DRAFTED = {"draft": "small", "tokens": 4}


@pytest.mark.parametrize(
    ("value", "counts", "sentence"),
    [
        (DRAFTED, {"draft_calls": 0}, "never called"),
        (DRAFTED, {"total_drafted": 0}, "none was verified"),
        (DRAFTED, {"longest": 5}, "but 5 were proposed"),
        ({"prompt_lookup": 4}, {"draft": None, "generators": set()}, "never looked a proposal up"),
        (DRAFTED | {"forced_acceptance": 0.9}, {"total_accepted": 100, "total_rejected": 100}, "50% of those judged"),
    ],
)
def test_counts_that_contradict_the_settings_are_refused(value, counts, sentence):
    with pytest.raises(EvidenceError, match=sentence):
        evidence(value, **counts)


def test_forced_acceptance_is_said():
    facts = evidence(DRAFTED | {"forced_acceptance": 0.7})
    assert facts["forced_acceptance"] == 0.7
    assert "forced_acceptance" not in evidence(DRAFTED)


@pytest.mark.parametrize(
    ("facets", "sentence"),
    [
        ({"speculation": DRAFTED | {"forced_acceptance": 0.7}}, "needs engine 'graph'"),
        (GRAPH | {"speculation": {"prompt_lookup": 4, "forced_acceptance": 0.7}}, "needs a draft model"),
        (GRAPH | {"speculation": {"draft": "draft", "tokens": 16}}, "at most 15"),
        (GRAPH | {"speculation": DRAFTED | {"draft": "draft", "forced_acceptance": 1.5}}, "from 0 to 1"),
    ],
)
def test_what_does_not_compose_is_one_sentence(facets, sentence):
    with pytest.raises(StudyError, match=sentence):
        settings(**facets)
