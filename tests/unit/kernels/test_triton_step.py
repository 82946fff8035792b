import pytest
import torch

import tests.support.triton_device  # noqa: F401
from scripts.engine.state import State
from scripts.kernels import triton_step

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU runs them at the end of captured graphs alone")
VOCABULARY = 50
FIELDS = ("token", "positions", "step", "stopped", "is_stop", "out", "progress")
STOP = 7


def state_of(rows, steps=6):
    state = State.empty(rows, steps, VOCABULARY, torch.device("cpu"))
    state.is_stop[STOP] = 1
    return state


def assert_same(state, expected):
    for name in FIELDS:
        assert torch.equal(getattr(state, name), getattr(expected, name)), name


@pytest.mark.parametrize("rows", [1, 3, 130, 1024])
@pytest.mark.parametrize("held", [False, True])
def test_every_step_leaves_what_the_cpus_loop_leaves(rows, held):
    torch.manual_seed(0)
    state, expected = state_of(rows), state_of(rows)
    if held:  # tokens of every kind: blank, end, text, line break, line break with text
        kinds = torch.tensor([0, 0, 0, 1, 2, 4, 6], dtype=torch.int8)[torch.randint(0, 7, (VOCABULARY,))]
        state.is_stop.copy_(kinds)
        expected.is_stop.copy_(kinds)
    given = torch.randint(1, 99, (rows, 5))
    lengths = given[:, -1]  # not contiguous, as the engine has it
    first = torch.randint(0, VOCABULARY, (rows,))
    state.positions.fill_(77)
    state.stopped.fill_(1)
    state.step.fill_(3)
    triton_step.start(state, first, lengths)
    expected.start(first, lengths)
    assert_same(state, expected)
    for _ in range(4):
        chosen = torch.randint(0, VOCABULARY, (rows,))
        triton_step.advance(state, chosen)
        expected.advance(chosen)
        assert_same(state, expected)
    assert state.host_progress.tolist() == [5, int((state.stopped & 1).sum())]


def test_a_row_that_has_stopped_stays_stopped():
    state = state_of(2)
    triton_step.start(state, torch.tensor([STOP, 1]), torch.tensor([4, 5]))
    assert state.host_progress.tolist() == [1, 1]
    triton_step.advance(state, torch.tensor([2, STOP]))
    assert state.host_progress.tolist() == [2, 2]
    assert state.host_tokens[:2].tolist() == [[STOP, 1], [2, STOP]]
    assert state.positions.tolist() == [5, 6]


def test_a_step_beyond_the_last_writes_no_tokens():
    state = state_of(2, steps=3)
    behind = state.out.new_full((4, 2), -1)
    state.out = behind[:3]
    triton_step.start(state, torch.tensor([1, 2]), torch.tensor([4, 5]))
    for _ in range(3):
        triton_step.advance(state, torch.tensor([3, 4]))
    assert behind[3].tolist() == [-1, -1]
    assert state.step.tolist() == [4]
