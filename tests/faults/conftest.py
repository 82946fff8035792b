"""Fault campaigns run in `make faults` alone; what is marked ``share`` is a small part of one for the normal tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import SECONDS, SEED, Campaign

HERE = Path(__file__).parent
SUMMARY = "campaign"


def pytest_report_header() -> str:
    return f"fault campaigns: FAULTS_SEED={SEED} FAULTS_SECONDS={SECONDS:.0f}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and not item.get_closest_marker("share"):
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> Iterator[Campaign]:
    """The campaign of a test, named after it; ``share(rounds)`` makes it a small one with a fixed seed."""
    name = request.node.name.removeprefix("test_").replace("_", " ")
    share = request.node.get_closest_marker("share")
    made = Campaign(name, seed=1, most=share.args[0]) if share else Campaign(name)
    yield made
    request.node.user_properties.append((SUMMARY, str(made)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for found in terminalreporter.stats.values() for report in found]
    ended = [each for each in reports if getattr(each, "when", None) == "teardown"]
    lines = {value: each for each in ended for name, value in each.user_properties if name == SUMMARY}
    if lines:
        terminalreporter.section("fault campaigns")
    for line in lines:
        terminalreporter.line(line)
