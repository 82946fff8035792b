import copy

import pytest

from tests.support.synthetic_study import compare, write_everything, write_study


@pytest.fixture(scope="session")
def compared(tmp_path_factory):
    """The comparison of a study with nearly every outcome, two runs of 30 prompts each; not to be changed."""
    return compare(write_everything(tmp_path_factory.mktemp("study")))


@pytest.fixture
def whole(compared):
    """The same, to be changed."""
    return copy.deepcopy(compared)


@pytest.fixture
def small(tmp_path):
    """Return a function that compares a study of a few techniques, of 20 prompts and one run unless told otherwise."""

    def build(techniques, **options):
        return compare(write_study(tmp_path / "study", techniques, **({"count": 20, "runs": 1} | options)))

    return build
