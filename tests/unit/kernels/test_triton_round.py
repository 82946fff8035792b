import pytest
import torch

import tests.support.triton_device  # noqa: F401
from scripts.engine import proposers
from scripts.engine.rounds import RoundState
from scripts.kernels import triton_round

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU runs them at the end of captured graphs alone")
VOCABULARY, POSITIONS, ROOM = 11, 40, 24
FIELDS = ("last_two", "positions", "step", "round_index", "stopped", "out", "progress", "rounds", "sequence")


def states(count, **options):
    """Two that are the same: one for torch, one for the kernel."""
    found = []
    for _ in range(2):
        state = RoundState.empty(count, ROOM, VOCABULARY, torch.device("cpu"), **options)
        state.is_stop[7] = 1
        state.first_draw.fill_(3)
        found.append(state)
    return found


def check_same(ours, theirs):
    for field in FIELDS:
        one, other = getattr(ours, field), getattr(theirs, field)
        assert (one is None and other is None) or one.tolist() == other.tolist(), field


@pytest.mark.parametrize("count", [1, 3, 4, 15])
@pytest.mark.parametrize("kind", ["all", "partly", "forced", "lookup", "held"])
def test_a_round_ends_as_in_torch(count, kind):
    generator = torch.Generator().manual_seed(count)
    options = {"forced": {"acceptance": 0.6}, "lookup": {"length": POSITIONS}}.get(kind, {})
    ours, theirs = states(count, **options)
    if kind == "held":  # mostly blank tokens, so that several rounds have no text
        for state in (ours, theirs):
            state.is_stop.copy_(torch.tensor([0, 0, 4, 0, 2, 0, 0, 0, 6, 4, 0], dtype=torch.int8))
    first, length = torch.tensor([5]), torch.tensor([4])
    for state in (ours, theirs):
        state.begin(torch.arange(8), length, 0)
    ours.start(first, length)
    triton_round.start(theirs, first, length)
    check_same(ours, theirs)
    while int(ours.step) + count + 1 <= ROOM:
        given, chosen = torch.randint(0, VOCABULARY, (2, count + 1), generator=generator)
        taken = int(torch.randint(0, count + 1, (), generator=generator))
        chosen[:taken] = given[1 : taken + 1]
        proposed = None
        if kind == "partly":
            proposed = torch.randint(0, count + 1, (1,), generator=generator).int()
        ours.advance(given, chosen, proposed)
        triton_round.advance(theirs, given, chosen, proposed)
        check_same(ours, theirs)
    assert int(ours.round_index) > 0


@pytest.mark.parametrize("block", [8, 64])
@pytest.mark.parametrize("count", [1, 3, 4])
def test_the_same_is_looked_up_as_in_torch(count, block, monkeypatch):
    monkeypatch.setattr(triton_round, "LOOKUP_BLOCK", block)
    generator = torch.Generator().manual_seed(count)
    (state,) = states(count, length=POSITIONS)[:1]
    found = 0
    for _ in range(40):
        length = int(torch.randint(2, POSITIONS - count, (), generator=generator))
        state.sequence.copy_(torch.randint(0, VOCABULARY, (POSITIONS,), generator=generator))
        state.last_two.copy_(state.sequence[length - 2 : length])
        state.positions.copy_(length - 2 + torch.arange(count + 1))
        given, proposed = proposers.look_up(state)
        ours, number = triton_round.look_up(state)
        assert number.tolist() == proposed.tolist()
        known = 1 + int(proposed)
        assert ours[:known].tolist() == given[:known].tolist()
        assert 0 <= int(ours.min()) <= int(ours.max()) < VOCABULARY
        found += known > 1
    assert 5 < found < 40
