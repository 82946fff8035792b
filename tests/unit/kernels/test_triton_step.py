import pytest
import torch

import tests.support.triton_device  # noqa: F401
from scripts.engine.state import State
from scripts.kernels import triton_step
from scripts.kernels.triton_choose import Parts

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU runs them at the end of recorded work alone")
VOCABULARY = 50
FIELDS = ("token", "positions", "step", "stopped", "is_stop", "out", "flag")
STOP = 7


def state_of(rows, steps=6):
    state = State.empty(rows, steps, VOCABULARY, torch.device("cpu"))
    state.is_stop[STOP] = 1
    return state


def tensors(state):
    return [getattr(state, name) for name in FIELDS]


def assert_same(state, expected):
    for name in FIELDS:
        assert torch.equal(getattr(state, name), getattr(expected, name)), name


@pytest.mark.parametrize("rows", [1, 3, 130, 1024])
def test_every_step_leaves_what_the_cpus_loop_leaves(rows):
    torch.manual_seed(0)
    state, expected = state_of(rows), state_of(rows)
    given = torch.randint(1, 99, (rows, 5))
    lengths = given[:, -1]  # not contiguous, as the engine has it
    first = torch.randint(0, VOCABULARY, (rows,))
    state.positions.fill_(77)
    state.stopped.fill_(1)
    state.step.fill_(3)
    triton_step.start(first, lengths, *tensors(state))
    expected.start(first, lengths)
    assert_same(state, expected)
    for _ in range(4):
        chosen = torch.randint(0, VOCABULARY, (rows,))
        triton_step.finish(chosen, *tensors(state))
        expected.advance(chosen)
        assert_same(state, expected)
    assert state.seen.tolist() == [5, int(state.stopped.sum())]


def test_a_row_that_has_stopped_stays_stopped():
    state = state_of(2)
    triton_step.start(torch.tensor([STOP, 1]), torch.tensor([4, 5]), *tensors(state))
    assert state.seen.tolist() == [1, 1]
    triton_step.finish(torch.tensor([2, STOP]), *tensors(state))
    assert state.seen.tolist() == [2, 2]
    assert state.tokens_out[:2].tolist() == [[STOP, 1], [2, STOP]]
    assert state.positions.tolist() == [5, 6]


def test_a_step_beyond_the_last_writes_no_tokens():
    state = state_of(2, steps=3)
    behind = state.out.new_full((4, 2), -1)
    state.out = behind[:3]
    triton_step.start(torch.tensor([1, 2]), torch.tensor([4, 5]), *tensors(state))
    for _ in range(3):
        triton_step.finish(torch.tensor([3, 4]), *tensors(state))
    assert behind[3].tolist() == [-1, -1]
    assert state.step.tolist() == [4]


def test_one_row_may_be_picked_in_the_same_kernel():
    state = state_of(1)
    triton_step.start(torch.tensor([1]), torch.tensor([4]), *tensors(state))
    parts = Parts(torch.tensor([[0.5, 2.0, 2.0]]), torch.tensor([[1, 9, STOP]], dtype=torch.int32))
    triton_step.finish(parts, *tensors(state))
    assert state.token.tolist() == [STOP]  # the first of the equal ones
    assert state.seen.tolist() == [2, 1]
