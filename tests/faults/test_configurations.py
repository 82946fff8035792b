"""Studies at random: right ones are planned or refused for their meaning, broken ones refused, in one sentence each."""

import traceback
from pathlib import Path

import pytest
import yaml

from tests.faults import configurations, sentences
from tests.faults.campaign import Campaign

# What a study is run with beside its file: text, which is read by the schema's types.
OPTIONS = ["dataset={samples: 8}", "measurement={repeats: x}", "title=", "=", "a", "select=[baseline", "load={}"]


def plan(campaign: Campaign, folder: Path, text: str, options: list[str]) -> None:
    file = folder / "study.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        said = configurations.said_of([file], options)
    except Exception:
        (folder / "failed.yaml").write_bytes(file.read_bytes())
        pytest.fail(f"seed {campaign.seed}, round {campaign.done}\n{text[:2000]}\n{options}\n{traceback.format_exc()}")
    campaign.count("planned" if said is None else "refused")
    if said is not None:
        assert sentences.fault(said) is None, (text, said)


def test_valid_configurations(campaign: Campaign, tmp_path: Path) -> None:
    for _ in campaign.rounds(1000):
        plan(campaign, tmp_path, yaml.safe_dump(configurations.valid(campaign.random), allow_unicode=True), [])


def test_broken_configurations(campaign: Campaign, tmp_path: Path) -> None:
    for _ in campaign.rounds(1000):
        options = campaign.random.sample(OPTIONS, 1) if campaign.random.random() < 0.1 else []
        plan(campaign, tmp_path, configurations.broken(campaign.random), options)


@pytest.mark.share(40)
def test_a_few_valid_configurations(campaign: Campaign, tmp_path: Path) -> None:
    test_valid_configurations(campaign, tmp_path)


@pytest.mark.share(40)
def test_a_few_broken_configurations(campaign: Campaign, tmp_path: Path) -> None:
    test_broken_configurations(campaign, tmp_path)
