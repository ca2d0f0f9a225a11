"""torch 2.4 and 2.5: the threshold came down from 80 to 68 SMs (an RTX 3080)."""

from __future__ import annotations

from inductor_override._names import UTILS
from inductor_override.patches._contract import COMPILE, Target
from inductor_override.patches.torch_2_0 import count_sms as count_sms

FIRST = (2, 4)
LAST = (2, 5)
STOCK_MIN_SMS = {"cuda": 68}
GATE_PARAMETERS: tuple[str, ...] = ("index",)
STORES: tuple[str, ...] = ("plain dicts",)
TARGETS = (
    Target(
        role="gate",
        owner=UTILS,
        name="is_big_gpu",
        upstream="https://github.com/pytorch/pytorch/pull/123121",
        why="it alone decides whether GEMM templates are candidates",
    ),
    Target(
        role="consumer",
        owner=UTILS,
        name="_use_template_for_cuda",
        upstream="https://github.com/pytorch/pytorch/issues/106991",
        why="it asks the gate: here a foreign assignment to is_big_gpu is noticed",
    ),
    COMPILE,
)
