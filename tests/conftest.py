"""One thread: tiny tensors are slower on many, and the test processes share the cores."""

import torch

torch.set_num_threads(1)
