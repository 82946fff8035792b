import os

import pytest
import torch

# Where there is no GPU, Triton's kernels are interpreted; Triton asks for this once, when it is first imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
# Tests run side by side, and models so small gain nothing from a second thread.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that processes side by side end at about the same time."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)
