"""torch 2.7 to 2.11: the gate also serves Intel XPU, where it opens at 16."""

from __future__ import annotations

from dataclasses import replace

from inductor_override.patches import torch_2_6
from inductor_override.patches.contract import COMPILE, GRAPH, gate_target

PATCH = replace(
    torch_2_6.PATCH,
    name="torch_2_7",
    first=(2, 7),
    last=(2, 11),
    stock_min_sms={"cuda": 68, "xpu": 16},
    targets=(
        gate_target("https://github.com/pytorch/pytorch/pull/143491"),
        COMPILE,
        GRAPH,
    ),
    consumers=("_use_template_for_gpu",),  # https://github.com/pytorch/pytorch/pull/143266
)
