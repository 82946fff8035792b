"""Data files at random: each is read with every row accounted for, or refused in one sentence, and leaves no half."""

import time
import traceback
from pathlib import Path

import pytest

from scripts.foundation.errors import StudyError
from scripts.foundation.text import one_line
from tests.faults import data_files, sentences
from tests.faults.campaign import Campaign
from tests.support.data_files import Outcome

LONGEST_S = 20.0


def read(campaign: Campaign, folder: Path, name: str, data: bytes) -> None:
    file, out = folder / name, folder / f"out-{campaign.done}"
    file.write_bytes(data)
    began = time.monotonic()
    try:
        outcome = Outcome(file, out)
    except StudyError as error:
        campaign.count("refused")
        said = one_line(str(error))  # as a stage prints it
        assert sentences.fault(said) is None, (name, data[:500], said)
        assert [path for path in out.glob("**/*") if path.is_file()] == []
    except Exception:
        pytest.fail(f"seed {campaign.seed}, round {campaign.done}: {name} {data[:300]!r}\n{traceback.format_exc()}")
    else:
        # Outcome itself checks that what was read is what was kept and what was rejected.
        campaign.count("read")
        campaign.count("rows", outcome.counts["read"])
        campaign.count("rows rejected", len(outcome.rejects))
        assert all(row["headline"] and row["summary"] for row in outcome.rows)
    finally:
        file.unlink()
    assert time.monotonic() - began < LONGEST_S, (name, data[:500])


def test_data_files(campaign: Campaign, tmp_path: Path) -> None:
    for _ in campaign.rounds(5000):
        read(campaign, tmp_path, *data_files.made(campaign.random))
    assert not (tmp_path.parent / "0.txt").exists()


@pytest.mark.share(60)
def test_a_few_data_files(campaign: Campaign, tmp_path: Path) -> None:
    test_data_files(campaign, tmp_path)
