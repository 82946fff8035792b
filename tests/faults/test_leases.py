"""Leases under pressure: many requests for one, two and all of four devices, with waiting and holding ones killed."""

from pathlib import Path

import pytest

from tests.faults import lease_requests
from tests.faults.campaign import Campaign

DEATHS = 0.15
OVERTAKES = 30  # of 60 under way: what comes at the same moment has no order


def press(campaign: Campaign, folder: Path, requests: int) -> None:
    made = lease_requests.run(campaign.rounds(requests), campaign.random, folder, DEATHS)
    served = [each for each in made if each.took]
    assert all(len(each.devices) == len(set(each.devices)) == each.size for each in served)
    lost = [each for each in made if not each.killed and each.gave is None]
    doubles = lease_requests.doubles(made)
    campaign.count("killed waiting", sum(each.killed and not each.took for each in made))
    campaign.count("killed holding", sum(each.killed and each.took is not None for each in made))
    campaign.count("taken twice", doubles)
    campaign.count("not served", len(lost))
    waits = []
    for size in sorted(set(lease_requests.SIZES)):
        own = [each for each in served if each.size == size]
        wait = max((each.took - each.came for each in own), default=0)
        waits.append(f"{wait:.2f} s for {size}")
    overtakes = max(lease_requests.overtaken(each, served) for each in served)
    campaign.note(f"longest wait {', '.join(waits)} of 4; overtaken at most {overtakes} times")
    assert (doubles, lost) == (0, [])
    assert overtakes <= OVERTAKES


def test_leases(campaign: Campaign, tmp_path: Path) -> None:
    press(campaign, tmp_path, 1000)


@pytest.mark.share(40)
def test_a_few_leases(campaign: Campaign, tmp_path: Path) -> None:
    press(campaign, tmp_path, 40)
