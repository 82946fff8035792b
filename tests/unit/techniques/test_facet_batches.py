"""Batch sizes and prompt lengths: what their evidence accepts and refuses, and what they don't go with."""

from types import SimpleNamespace

import pytest

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError
from scripts.runtime.generation import ContinuousBatchTrace
from scripts.techniques.registry import load_facet
from tests.support.observations import observation

BATCH, PROMPT = load_facet("batch_size"), load_facet("prompt_tokens")
STOCK, OWN_LOOP = SimpleNamespace(generator=None), SimpleNamespace(generator=object())
FOUR = {"requests": 4, "prompt_lengths": [10, 9, 7, 6], "forward_rows": [4, 4, 4]}


def test_a_batch_is_proved_by_the_sequences_of_every_forward():
    facts = BATCH.evidence(4, STOCK, observation(**FOUR))
    assert facts["sequences_per_forward"] == [4]
    assert facts["padding_share"] == pytest.approx(8 / 40)
    # The data set's last batch.
    assert BATCH.evidence(8, STOCK, observation(**FOUR))["sequences_per_forward"] == [4]


@pytest.mark.parametrize(
    ("size", "seen", "sentence"),
    [
        (4, {"forward_rows": [1, 1, 1]}, "4 requests were run 1 at a time"),
        (4, {"forward_rows": [4, 4, 2]}, "4 requests were run 2, 4 at a time"),
        (2, {}, "batch_size is 2, but 4 requests were run"),
        (4, {"padded_left": False}, "not padded on the left"),
    ],
)
def test_a_batch_that_was_none_is_refused(size, seen, sentence):
    with pytest.raises(EvidenceError, match=sentence):
        BATCH.evidence(size, STOCK, observation(**FOUR | seen))


def test_a_loop_that_keeps_each_requests_positions_may_pad_on_the_right():
    facts = BATCH.evidence(4, OWN_LOOP, observation(**FOUR | {"padded_left": False}))
    assert facts["padding_side"] == "right"


def test_requests_that_join_are_proved_by_having_run_and_by_having_shared_a_forward():
    trace = ContinuousBatchTrace(2, [[10, 9], [1, 1], [1, 7], [1, 6], [1]], [3, 1, 2, 1])
    facts = BATCH.evidence(4, OWN_LOOP, observation(**FOUR | {"trace": trace, "forward_rows": [2, 2, 2, 2, 1]}))
    assert facts == {"sequences_per_forward": [1, 2], "forward_calls": 5}


@pytest.mark.parametrize(
    ("size", "generated", "rows", "sentence"),
    [
        (4, [3, 1, 0, 1], [2, 2], "batch_size is 4, but 3 of 4 requests were run"),
        (2, [3, 1, 2, 1], [2, 2], "batch_size is 2, but 4 of 4 requests were run"),
        (4, [3, 1, 2, 1], [1, 1], "batch_size is 4, but 4 requests were run one at a time"),
    ],
)
def test_requests_that_were_lost_or_never_together_are_refused(size, generated, rows, sentence):
    seen = observation(
        **FOUR | {"trace": ContinuousBatchTrace(2, [[1] * count for count in rows], generated), "forward_rows": rows}
    )
    with pytest.raises(EvidenceError, match=sentence):
        BATCH.evidence(size, OWN_LOOP, seen)


def test_one_request_at_a_time_is_no_batch():
    assert BATCH.resolve(1) is None
    assert BATCH.resolve(2) == 2


@pytest.mark.parametrize("facet", [BATCH, PROMPT])
@pytest.mark.parametrize("value", [0, -1, 2.5, "8", True])
def test_what_is_no_number_of_requests_or_tokens_is_refused(facet, value):
    with pytest.raises(StudyError, match="give a whole number from 1"):
        facet.check(value, {})


def test_prompts_of_another_length_are_refused():
    assert PROMPT.evidence(10, None, observation()) == {"prompt_tokens": 10}
    for seen in ({"prompt_lengths": [9]}, {"forward_lengths": [9, 1, 1]}):
        with pytest.raises(EvidenceError, match="prompt_tokens is 10, but"):
            PROMPT.evidence(10, None, observation(**seen))
