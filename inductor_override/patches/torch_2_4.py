"""torch 2.4 and 2.5: the threshold came down from 80 to 68 SMs (an RTX 3080)."""

from __future__ import annotations

from dataclasses import replace

from inductor_override.patches import torch_2_0
from inductor_override.patches.contract import COMPILE, gate_target

PATCH = replace(
    torch_2_0.PATCH,
    name="torch_2_4",
    first=(2, 4),
    last=(2, 5),
    stock_min_sms={"cuda": 68},
    targets=(
        gate_target("https://github.com/pytorch/pytorch/pull/123121"),
        COMPILE,
    ),
    consumers=("_use_template_for_cuda",),
    lacks=(
        "the environment variable without `run` (2.5 has it)",
        "what torch's tuner measured (report)",
        "values of each thread's own",
        "models in `explain`, and candidates as machine code",
    ),
)
