import pytest
import torch

import tests.support.triton_device  # noqa: F401
from scripts.kernels import triton_slots
from scripts.kernels.decode_state import WORK_NUMBERS, SlotTensors

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU runs them at the end of captured graphs alone")
SLOTS, ENTRIES, LAST = 5, 4, 40


def state(done=0):
    return SlotTensors(
        token=torch.arange(100, 100 + SLOTS + 1),
        positions=torch.tensor([3, LAST - 1, LAST, 7, 0, 11], dtype=torch.int32),
        done=torch.tensor([done], dtype=torch.int32),
        ring=torch.full((ENTRIES, SLOTS), -1, dtype=torch.int32),
        progress=torch.zeros(2, dtype=torch.int32),
        last=LAST,
    )


def test_a_decode_step_moves_the_first_slots_on_and_stays_in_the_cache():
    found = state(done=6)
    triton_slots.end_decode(found, torch.tensor([7, 8, 9]))
    assert found.token.tolist() == [7, 8, 9, 103, 104, 105]
    assert found.positions.tolist() == [4, LAST, LAST, 7, 0, 11]
    assert found.ring.tolist() == [[-1] * 5, [-1] * 5, [7, 8, 9, -1, -1], [-1] * 5]
    assert found.progress.tolist() == [7, 0]
    assert found.done.tolist() == [7]


def test_a_prefill_puts_its_tokens_into_the_slots_that_its_requests_were_given():
    found = state()
    positions = torch.tensor([0, 1, 2, 0, 0, 1])
    ends, slots = torch.tensor([2, 3, 5]), torch.tensor([4, SLOTS, 1])
    triton_slots.end_prefill(found, torch.tensor([7, 8, 9]), ends, slots, positions)
    assert found.token.tolist() == [100, 9, 102, 103, 7, 8]
    assert found.positions.tolist() == [3, 2, LAST, 7, 3, 1]
    assert found.ring[0].tolist() == [7, 8, 9, -1, -1]
    assert found.progress.tolist() == [1, 0]


def test_numbers_of_work_begin_again():
    found = state(done=WORK_NUMBERS - 1)
    triton_slots.end_decode(found, torch.tensor([7]))
    assert found.progress.tolist() == [0, 0]
    assert found.ring[-1, 0] == 7
