"""Whether a failed program ran out of GPU memory, as far as its own words tell.

Called by `experiments.endings` for runs with GPUs. Nobody outside can see it: no limit ends such a run, the program
itself gives up. So the last lines of its output are believed, although they are a stranger's text: `oom` and `crash`
are failures of the candidate alike, neither is ever a success or excused, and whoever forges one gains nothing.
"""

from __future__ import annotations

import re

_SAYS = re.compile(
    r"torch\.(?:cuda\.)?OutOfMemoryError|CUDA out of memory|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY"
    r"|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED|cudaErrorMemoryAllocation|std::bad_alloc: cuda"
    r"|RESOURCE_EXHAUSTED: (?:Out of memory|OOM)|OOM when allocating tensor|cupy\S*\.OutOfMemoryError"
)
_MAX_LINE = 300


def complaint(tail: str) -> str:
    """The line of a program's last output that says so, the last of several; empty where none does."""
    said = [line.strip() for line in tail.splitlines() if _SAYS.search(line)]
    return said[-1][:_MAX_LINE] if said else ""
