"""One thread: tiny tensors are slower on many, and the test processes share the cores.

Kernels run on the GPU where there is one, and in Triton's interpreter elsewhere, which must be said before Triton is
imported.
"""

import os

# Before NumPy is imported, which the interpreter computes with.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
