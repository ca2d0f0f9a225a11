"""The stand-in for the CUDA runtime: `torch.cuda` answers for a GPU that is not there.

Inductor asks `torch.cuda` for a device's properties and never needs more, as long as the tensors
are fake and nothing is launched.
"""

from __future__ import annotations

import inspect
import sys
from types import SimpleNamespace
from typing import Any

from inductor_override.catalogue import Gpu
from inductor_override.simulation.errors import SimulationError

# One object for the life of the process, so that whoever kept it sees the next GPU too.
properties = SimpleNamespace()

# CUDA programming guide, "Technical specifications per compute capability"; 1536 otherwise.
_THREADS_PER_SM = {(7, 0): 2048, (7, 5): 1024, (8, 0): 2048, (9, 0): 2048, (10, 0): 2048}


def install() -> None:
    """Put the stand-ins into `torch.cuda`, for good.

    Raises:
        SimulationError: torch is already past the point where this can be done, or is a ROCm build.
    """
    # The first keeps references to the functions of torch.cuda; torch 2.0 has only the second.
    if not {"torch._dynamo.device_interface", "torch._inductor.utils"}.isdisjoint(sys.modules):
        raise SimulationError(
            "the simulated GPU must be installed before torch._dynamo or torch._inductor is "
            "imported, in a process of its own"
        )
    import torch

    if torch.version.hip:
        raise SimulationError("the simulated GPU needs a CUDA or CPU build of torch, not ROCm")
    for name, stand_in in _stand_ins(torch).items():
        if hasattr(torch.cuda, name):
            setattr(torch.cuda, name, stand_in)

    _select_depthwise(torch._C)

    from torch._subclasses import fake_tensor

    # Both allocate on the device: the first is torch 2.4's and before, the second 2.5's and later.
    for name in ("init_cuda_context", "init_gpu_context"):
        if hasattr(fake_tensor, name):
            setattr(fake_tensor, name, lambda *args: None)


def _select_depthwise(torch_c: Any) -> None:
    """Let fake convolutions be asked which of torch's implementations a CUDA build would take.

    For a depthwise one the CUDA build asks the driver for the device; the answer tells no more than
    how the result lies in memory.
    """
    select = torch_c._select_conv_backend

    def select_conv_backend(*args: Any, **kwargs: Any) -> Any:
        try:
            return select(*args, **kwargs)
        except RuntimeError as error:
            if "CUDA" not in str(error):
                raise
            return torch_c._ConvBackend.CudaDepthwise2d

    torch_c._select_conv_backend = select_conv_backend


def describe(gpu: Gpu) -> None:
    """Make `gpu` the one that `torch.cuda` answers for."""
    major, minor = gpu.compute_capability
    vars(properties).update(
        name=gpu.name,
        major=major,
        minor=minor,
        multi_processor_count=gpu.sms,
        shared_memory_per_block=49152,
        shared_memory_per_block_optin=gpu.shared_memory_optin,
        # From 8.0 on, CUDA keeps 1 KiB of each block's shared memory for itself.
        shared_memory_per_multiprocessor=gpu.shared_memory_optin + (1024 if major >= 8 else 0),
        max_threads_per_multi_processor=_THREADS_PER_SM.get((major, minor), 1536),
        max_threads_per_block=1024,
        regs_per_multiprocessor=65536,
        warp_size=32,
        # What tells GPUs apart in the keys of Inductor's cache, when torch is not a CUDA build.
        gcnArchName=gpu.name,
        # The catalogue does not have these; no decision about a GEMM reads them.
        total_memory=12 << 30,
        L2_cache_size=3 << 20,
        is_integrated=0,
        uuid="simulated",
    )


def _stand_ins(torch: Any) -> dict[str, Any]:
    emulates = "including_emulation" in inspect.signature(torch.cuda.is_bf16_supported).parameters

    # torch's own looks at torch.version.cuda, which a CPU build does not have.
    def is_bf16_supported(including_emulation: bool = emulates) -> bool:
        return properties.major >= 8 or including_emulation

    return {
        "is_available": lambda: True,
        "is_initialized": lambda: False,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: properties.name,
        "get_device_properties": lambda device=None: properties,
        "get_device_capability": lambda device=None: (properties.major, properties.minor),
        "is_bf16_supported": is_bf16_supported,
        "get_rng_state": lambda *args: torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": lambda *args: None,
        "synchronize": lambda device=None: None,
        "set_device": lambda device: None,
        "_lazy_init": lambda: None,
        "_exchange_device": lambda device: 0,
        "_maybe_exchange_device": lambda device: 0,
    }
