import os

import torch

# Where there is no GPU, Triton's kernels are interpreted; Triton asks for this once, when it is first imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
