import pytest
import torch

from scripts.foundation.errors import StudyError
from scripts.inference import vocabulary
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.models import Loaded
from scripts.techniques.speculation.facet import FACET, VerificationCounter
from tests.support.tiny_checkpoint import CORPUS, make_checkpoint, make_tokenizer, variant
from tests.support.worker_runs import run_worker

DRAFTED = {"speculation": {"draft": "draft", "tokens": 4}}
GRAPH = DRAFTED | {"engine": "graph"}
SPECIAL = {"bos_token_id": 0, "eos_token_id": 1}


@pytest.fixture(scope="module")
def perfect(checkpoint, evaluation_set):
    """The target drafts for itself."""
    return run_worker(checkpoint, evaluation_set, DRAFTED, draft=checkpoint, warmup=2)


@pytest.fixture(scope="module")
def useless(checkpoint, evaluation_set, tmp_path_factory):
    """Another random model drafts."""
    draft = make_checkpoint(tmp_path_factory.mktemp("draft") / "model", seed=5, layers=1)
    return run_worker(checkpoint, evaluation_set, DRAFTED, draft=draft)


@pytest.fixture(scope="module")
def circle(tmp_path_factory):
    """A model that writes 17, 18, 19, 16, 17, 18, … after a full stop."""
    directory = tmp_path_factory.mktemp("checkpoints") / "circle"
    return make_checkpoint(directory, successor=lambda token: token // 4 * 4 + (token + 1) % 4)


@pytest.fixture(scope="module")
def lookup(circle, evaluation_set):
    return run_worker(circle, evaluation_set, {"speculation": {"prompt_lookup": 3}})


def test_a_good_draft_changes_no_token(perfect, greedy):
    assert perfect.tokens == greedy.tokens


def test_a_bad_draft_changes_no_token(useless, greedy):
    assert useless.tokens == greedy.tokens


def test_prompt_lookup_changes_no_token(circle, evaluation_set, lookup):
    assert lookup.tokens == run_worker(circle, evaluation_set, {}).tokens == [[17, 18, 19, 16] * 3] * 3


def test_a_good_draft_is_accepted(perfect):
    for sample in perfect.samples:
        # 4 drafted and one of the target's own a round; of the last round, what fits.
        assert sample["rounds"] == 3
        assert sample["drafted_tokens"] == sample["accepted_tokens"] == 9
    assert perfect.evidence["speculation"]["acceptance_rate"] == 1.0


def test_a_bad_draft_is_not(useless):
    facts = useless.evidence["speculation"]
    assert facts["acceptance_rate"] < 0.1
    assert facts["drafted_tokens"] > 3 * facts["target_calls"]


def test_what_is_copied_from_the_text_is_accepted(lookup):
    assert 0 < lookup.evidence["speculation"]["accepted_tokens"] < sum(s["new_tokens"] for s in lookup.samples)
    assert "draft_calls" not in lookup.evidence["speculation"]


@pytest.mark.parametrize("kind", ["perfect", "useless", "lookup"])
def test_counts_add_up(kind, request):
    run = request.getfixturevalue(kind)
    facts = run.evidence["speculation"]
    for sample in run.samples:
        assert sample["rounds"] + sample["accepted_tokens"] == sample["new_tokens"]
        assert 0 <= sample["accepted_tokens"] <= sample["drafted_tokens"]
        assert len(sample["token_times_s"]) == sample["new_tokens"]
    # The samples' and no others: neither the warm-up's nor the observed one's.
    for total, field in (("target_calls", "rounds"), ("drafted_tokens",) * 2, ("accepted_tokens",) * 2):
        assert facts[total] == sum(sample[field] for sample in run.samples)
    histogram = facts["accepted_per_round_histogram"]
    assert sum(histogram) == facts["target_calls"]
    assert sum(count * rounds for count, rounds in enumerate(histogram)) == facts["accepted_tokens"]
    assert len(histogram) == (4 if kind == "lookup" else 5)


def test_a_draft_model_is_called_once_a_drafted_token(perfect, useless):
    for run in (perfect, useless):
        facts = run.evidence["speculation"]
        assert facts["draft_calls"] == facts["drafted_tokens"]


@pytest.mark.parametrize(
    ("way", "stop"),
    # Lookup cuts its proposal off before a stop token, so that nothing would be left of one that begins with it.
    [
        (DRAFTED, 18),
        *((way, stop) for way in (DRAFTED, {"speculation": {"prompt_lookup": 8}}) for stop in range(19, 24)),
    ],
)
def test_nothing_is_kept_after_a_stop_token_in_the_middle_of_a_proposal(chain, evaluation_set, tmp_path, way, stop):
    ends = variant(chain, tmp_path / "ends", generation_config=SPECIAL | {"eos_token_id": [1, stop]})
    # The prompts hold what the chain writes, for the lookup to find: "/" is token 17.
    options = {"draft": chain if "draft" in way["speculation"] else None, "prompt": "Lock /01234567: {summary}"}
    run = run_worker(ends, evaluation_set, way, **options)
    assert run.tokens == [list(range(17, stop + 1))] * 3
    for sample in run.samples:
        assert sample["stop_reason"] == "end"
        assert len(sample["token_times_s"]) == stop - 16
        # An accepted stop token ends its round without one of the target's own.
        assert sample["new_tokens"] - sample["accepted_tokens"] in (sample["rounds"] - 1, sample["rounds"])
        assert sample["rejected_tokens"] == 0
    assert run.evidence["speculation"]["drafted_tokens"] > 0


def test_a_line_break_in_the_middle_of_a_proposal_ends_the_headline(chain, evaluation_set):
    generation = {"prompt": "Write: {summary}\x05", "stop": "line_break"}
    run = run_worker(chain, evaluation_set, DRAFTED, draft=chain, **generation)
    assert run.tokens == [[197, 198, 199, 200, 201]] * 3
    assert {sample["stop_reason"] for sample in run.samples} == {"line_break"}


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_each_round_drafts_the_number_of_tokens_that_was_asked_for(chain, evaluation_set, tokens):
    way = {"speculation": {"draft": "draft", "tokens": tokens}}
    run = run_worker(chain, evaluation_set, way, draft=chain, max_new_tokens=2 * (tokens + 1))
    assert run.evidence["speculation"]["accepted_per_round_histogram"] == [0] * tokens + [2 * 3]
    assert run.tokens == [list(range(17, 17 + 2 * (tokens + 1)))] * 3


def test_settings_hidden_in_the_drafts_checkpoint_have_no_effect(checkpoint, evaluation_set, perfect, tmp_path):
    hidden = {
        "do_sample": True, "temperature": 9.0, "num_beams": 3, "penalty_alpha": 0.6, "use_cache": False,
        "suppress_tokens": list(range(100, 300)), "cache_implementation": "static", "max_new_tokens": 1,
        "num_assistant_tokens": 1, "num_assistant_tokens_schedule": "heuristic", "assistant_confidence_threshold": 0.99,
        "prompt_lookup_num_tokens": 2, "stop_strings": ["a"], "guidance_scale": 3.0, "eos_token_id": 79,
    }  # fmt: skip
    draft = variant(checkpoint, tmp_path / "draft", generation_config=SPECIAL | hidden)
    run = run_worker(checkpoint, evaluation_set, DRAFTED, draft=draft)
    assert run.tokens == perfect.tokens
    assert run.evidence["speculation"] == perfect.evidence["speculation"]


def test_both_models_count_as_weights(perfect, greedy):
    assert perfect.outcome["memory"]["weight_bytes"] == 2 * greedy.outcome["memory"]["weight_bytes"]


def test_a_draft_that_is_never_called_is_invalid(checkpoint, evaluation_set, monkeypatch):
    monkeypatch.setattr(type(FACET), "generation_options", lambda *arguments: {})
    run = run_worker(checkpoint, evaluation_set, DRAFTED, draft=checkpoint)
    assert run.outcome["status"] == "invalid"
    assert "never called" in run.outcome["reason"]


def test_a_draft_with_a_vocabulary_of_another_size_is_refused(checkpoint, evaluation_set, tmp_path):
    draft = make_checkpoint(tmp_path / "draft", tokenizer=make_tokenizer(300))
    run = run_worker(checkpoint, evaluation_set, DRAFTED, draft=draft)
    assert run.outcome["status"] == "failed"
    assert "has another tokenizer than its target; choose" in run.outcome["reason"]


@pytest.mark.parametrize(
    ("facets", "tied", "target_rows", "draft_rows"),
    [(DRAFTED, False, 320, 352), (DRAFTED, True, 352, 320), (GRAPH, True, 336, 400), (GRAPH, False, 352, 320)],
)
def test_a_draft_whose_vocabulary_is_padded_otherwise_drafts_as_before(
    evaluation_set, tmp_path, facets, tied, target_rows, draft_rows
):
    # As a draft of itself a model is right every time.
    plain = run_worker(make_checkpoint(tmp_path / "plain", tied=tied), evaluation_set, facets | {"speculation": None})
    target = make_checkpoint(tmp_path / "target", tied=tied, rows=target_rows)
    draft = make_checkpoint(tmp_path / "draft", tied=tied, rows=draft_rows)
    run = run_worker(target, evaluation_set, facets, draft=draft)
    assert run.outcome["status"] == "ok", run.outcome["reason"]
    assert run.tokens == plain.tokens
    assert run.evidence["speculation"]["acceptance_rate"] == 1


def test_a_padding_row_may_be_cut_off(checkpoint):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    model.get_input_embeddings().padding_idx = 319
    vocabulary.fit(model, 310, tokens=300)
    assert model(torch.tensor([[5, 6]])).logits.shape[-1] == 310


def test_a_draft_with_fewer_rows_than_tokens_is_refused(checkpoint):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    with pytest.raises(UnsupportedError, match="has 320 rows and the target's 340, but their tokenizer has 330 tokens"):
        vocabulary.fit(model, 340, tokens=330)


def test_a_draft_with_other_words_of_the_same_number_is_refused(checkpoint, evaluation_set, tmp_path):
    words = make_tokenizer(corpus=(*CORPUS[:1], "Zebras quietly zigzag, zealous zebras quiz the queen. " * 3))
    draft = make_checkpoint(tmp_path / "draft", tokenizer=words)
    run = run_worker(checkpoint, evaluation_set, DRAFTED, draft=draft)
    assert run.outcome["status"] == "failed"
    assert "has another tokenizer than its target; choose" in run.outcome["reason"]


def test_values_are_spelled_out():
    assert FACET.resolve({"draft": "small"}) == {"draft": "small", "tokens": 4}
    assert FACET.resolve({"draft": "small", "tokens": 2}) == {"draft": "small", "tokens": 2}
    assert FACET.resolve({"prompt_lookup": 5}) == {"prompt_lookup": 5}
    assert FACET.resolve("none") is FACET.resolve(None) is None
    assert FACET.companion({"draft": "small", "tokens": 4}) == "small"
    assert FACET.companion({"prompt_lookup": 5}) is None


@pytest.mark.parametrize("value", [{}, {"tokens": 4}, {"draft": "small", "prompt_lookup": 4}])
def test_one_way_to_draft_must_be_named(value):
    with pytest.raises(StudyError, match="either 'draft'"):
        FACET.resolve(value)


class Model:
    def _get_candidate_generator(self):
        raise NotImplementedError

    def register_forward_pre_hook(self, hook, **options):
        self.hook = hook


def test_acceptance_follows_from_what_was_given_and_what_came_out():
    model = Model()
    counter = VerificationCounter(Loaded(model, None, {}), 4)
    prompt = [99] * 10
    counter.start(len(prompt))
    rounds = (
        ([*prompt, 1, 2, 3, 4], [1, 2, 3, 4, 5]),  # all four taken, and the target's own
        ([5, 6, 7, 8, 9], [16]),  # the first rejected, three not judged
        ([16, 17, 18], [17, 2]),  # one taken, one rejected
        ([2, 30, 31, 32], [30, 31]),  # the end was proposed and taken: nothing behind it is judged
    )
    for given, emitted in rounds:
        model.hook(None, (), {"input_ids": torch.tensor([given])})
        counter.generated(emitted)
    assert counter.fields() == {"drafted_tokens": 13, "accepted_tokens": 7, "rejected_tokens": 2, "rounds": 4}
    assert counter.histogram == [1, 1, 1, 0, 1]


def test_a_lookup_that_is_silently_off_is_refused(checkpoint, evaluation_set, monkeypatch):
    monkeypatch.setattr(type(FACET), "generation_options", lambda *arguments: {})
    run = run_worker(checkpoint, evaluation_set, {"speculation": {"prompt_lookup": 4}})
    assert run.outcome["status"] == "invalid"
    assert "never looked a proposal up" in run.outcome["reason"]
