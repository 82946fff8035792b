"""The campaigns' own helper: a seed repeats the choices, and time and rounds are bounded."""

import pytest

from tests.faults.campaign import Campaign


@pytest.mark.share(3)
def test_a_campaign_is_bounded_and_repeatable(campaign: Campaign) -> None:
    first = [campaign.random.random() for _ in campaign.rounds(100)]
    assert len(first) == 3
    again = Campaign(campaign.name, seed=campaign.seed)
    assert [again.random.random() for _ in again.rounds(3)] == first
    assert [Campaign("another", seed=campaign.seed).random.random()] != first[:1]
    assert list(Campaign("late", seconds=0).rounds(5)) == []
    campaign.count("kills", 1200)
    campaign.note("nothing was lost")
    assert str(campaign).endswith("(seed 1); 1,200 kills; nothing was lost")
