import pytest
import torch


@pytest.fixture
def where_kernels_run():
    """What a test makes without naming a device is made on the GPU, where there is one."""
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        yield
