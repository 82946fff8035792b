"""What a load run starts."""

import pytest

from scripts.inference import load_run, served
from tests.support import worker_runs


class StartedError(Exception):
    """The server would have been started."""


@pytest.mark.parametrize(
    "engine", ["graph", {"name": "transformers_continuous", "slots": 2}, {"name": "server", "preset": "vllm"}]
)
def test_every_engine_that_can_serve_is_started_for_a_model_that_it_runs(
    checkpoint, evaluation_set, monkeypatch, engine
):
    def launched(*_):
        raise StartedError

    monkeypatch.setattr(served, "launched", launched)
    facets = {"engine": engine} | ({"batch_size": 2} if "slots" in engine else {})
    request = worker_runs.request(checkpoint, evaluation_set, facets)
    if "preset" in engine:
        request["served"] = {"preset": {"label": "vLLM"}, "program": None}
    with pytest.raises(StartedError):
        load_run.run(request, {}, print)
