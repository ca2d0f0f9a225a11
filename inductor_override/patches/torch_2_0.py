"""torch 2.0 to 2.3: the gate takes a device index and opens at 80 SMs (a V100)."""

from __future__ import annotations

from typing import Any

from inductor_override.config_store.plain_dicts import PlainDicts
from inductor_override.patches.contract import COMPILE, Patch, gate_target


def count_sms(index: Any) -> int | None:
    import torch

    if torch.version.hip:
        return None
    return int(torch.cuda.get_device_properties(index).multi_processor_count)


PATCH = Patch(
    name="torch_2_0",
    first=(2, 0),
    last=(2, 3),
    stock_min_sms={"cuda": 80},
    gate_parameters=("index",),
    count_sms=count_sms,
    store=PlainDicts,
    targets=(
        gate_target("https://github.com/pytorch/pytorch/issues/109489"),
        COMPILE,
    ),
    consumers=("_use_template_for_cuda", "use_triton_template"),  # 2.2 and 2.3; 2.0 and 2.1
    autotune_switches=("max_autotune", "max_autotune_gemm"),  # the second from 2.1 on
    selection_returns_choice=False,
    captures_models=False,
    lacks=(
        "what torch's tuner measured (report)",
        "the environment variable without `run`",
        "caches of whole graphs (2.2 has the first, off by default)",
        "values of each thread's own",
        "models in `explain`, and candidates as machine code",
    ),
)
