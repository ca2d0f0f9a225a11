"""torch 2.0 to 2.3: the gate takes a device index and opens at 80 SMs (a V100)."""

from __future__ import annotations

from typing import Any

from inductor_override._names import UTILS
from inductor_override.patches._contract import COMPILE, Target

FIRST = (2, 0)
LAST = (2, 3)
STOCK_MIN_SMS = {"cuda": 80}
GATE_PARAMETERS: tuple[str, ...] = ("index",)
STORES: tuple[str, ...] = ("plain dicts",)
TARGETS = (
    Target(
        role="gate",
        owner=UTILS,
        name="is_big_gpu",
        upstream="https://github.com/pytorch/pytorch/issues/109489",
        why="it alone decides whether GEMM templates are candidates",
    ),
    Target(
        role="consumer",
        owner=UTILS,
        # 2.0 and 2.1, then 2.2 and 2.3. The kernels of 2.0 and 2.1 import theirs by name, so there
        # it is the row on compile_fx that notices a foreign assignment.
        name="use_triton_template|_use_template_for_cuda",
        upstream="https://github.com/pytorch/pytorch/issues/106991",
        why="it asks the gate: here a foreign assignment to is_big_gpu is noticed",
    ),
    COMPILE,
)


def count_sms(index: Any) -> int | None:
    import torch

    if torch.version.hip:
        return None
    return int(torch.cuda.get_device_properties(index).multi_processor_count)
